package protobuf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// printer writes descriptors as text.
type printer struct {
	strings.Builder
	indent         int
	proto2, proto3 bool
}

func (p *printer) linef(format string, args ...any) {
	p.WriteString(strings.Repeat("  ", p.indent))
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

// block writes what stands in braces.
func (p *printer) block(open string, content func()) {
	p.linef("%s {", open)
	p.indent++
	content()
	p.indent--
	p.linef("}")
}

func (p *printer) head(file *descriptorpb.FileDescriptorProto, imports map[string]bool) {
	switch file.GetSyntax() {
	case "editions":
		p.linef("edition = %q;", strings.TrimPrefix(file.GetEdition().String(), "EDITION_"))
	case "":
		p.linef(`syntax = "proto2";`)
	default:
		p.linef("syntax = %q;", file.GetSyntax())
	}
	if file.GetPackage() != "" {
		p.linef("package %s;", file.GetPackage())
	}
	var paths []string
	for path := range imports {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		p.linef("import %q;", path)
	}
	p.options(features(file.GetOptions().GetFeatures()))
}

// options writes options as lines of their own.
func (p *printer) options(list []string) {
	for _, option := range list {
		p.linef("option %s;", option)
	}
}

// features are those of an edition that are set, but for those of languages.
func features(set *descriptorpb.FeatureSet) (list []string) {
	if set == nil {
		return nil
	}
	set.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Enum() != nil && !f.IsExtension() {
			list = append(list, fmt.Sprintf("features.%s = %s", f.Name(), f.Enum().Values().ByNumber(v.Enum()).Name()))
		}
		return true
	})
	slices.Sort(list)
	return list
}

func (p *printer) message(m *descriptorpb.DescriptorProto, fullName string) {
	p.block("message "+m.GetName(), func() { p.content(m, fullName) })
}

// content is what a message has in its braces.
func (p *printer) content(m *descriptorpb.DescriptorProto, fullName string) {
	p.options(features(m.GetOptions().GetFeatures()))
	if m.GetOptions().GetMessageSetWireFormat() {
		p.linef("option message_set_wire_format = true;")
	}
	within := map[string]*descriptorpb.DescriptorProto{}
	for _, nested := range m.GetNestedType() {
		within["."+fullName+"."+nested.GetName()] = nested
	}
	written := map[int32]bool{}
	for _, f := range m.GetField() {
		switch {
		case f.OneofIndex == nil || f.GetProto3Optional():
			p.field(f, within, fullName)
		case !written[f.GetOneofIndex()]:
			written[f.GetOneofIndex()] = true
			p.oneof(m, f.GetOneofIndex(), within, fullName)
		}
	}
	for name, nested := range sorted(m.GetNestedType()) {
		if !nested.GetOptions().GetMapEntry() && !isGroup(m, "."+fullName+"."+name) {
			p.message(nested, fullName+"."+name)
		}
	}
	for _, e := range m.GetEnumType() {
		p.enum(e)
	}
	for _, r := range m.GetExtensionRange() {
		p.linef("extensions %s;", numbers(int64(r.GetStart()), int64(r.GetEnd())-1, 1<<29-1))
	}
	for _, r := range m.GetReservedRange() {
		p.linef("reserved %s;", numbers(int64(r.GetStart()), int64(r.GetEnd())-1, 1<<29-1))
	}
	p.reserved(m.GetReservedName())
}

// sorted gives messages by their names in the order in which they stand.
func sorted(list []*descriptorpb.DescriptorProto) func(yield func(string, *descriptorpb.DescriptorProto) bool) {
	return func(yield func(string, *descriptorpb.DescriptorProto) bool) {
		for _, m := range list {
			if !yield(m.GetName(), m) {
				return
			}
		}
	}
}

// isGroup is whether a message is the content of a group of proto2, which stands where the field is.
func isGroup(m *descriptorpb.DescriptorProto, typeName string) bool {
	return slices.ContainsFunc(m.GetField(), func(f *descriptorpb.FieldDescriptorProto) bool {
		return f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP && f.GetTypeName() == typeName
	})
}

func (p *printer) oneof(m *descriptorpb.DescriptorProto, index int32, within map[string]*descriptorpb.DescriptorProto, fullName string) {
	of := m.GetOneofDecl()[index]
	p.block("oneof "+of.GetName(), func() {
		p.options(features(of.GetOptions().GetFeatures()))
		for _, f := range m.GetField() {
			if f.OneofIndex != nil && f.GetOneofIndex() == index {
				p.field(f, within, fullName)
			}
		}
	})
}

func (p *printer) field(f *descriptorpb.FieldDescriptorProto, within map[string]*descriptorpb.DescriptorProto, fullName string) {
	of := within[f.GetTypeName()]
	options := ""
	if list := p.fieldOptions(f); len(list) > 0 {
		options = " [" + strings.Join(list, ", ") + "]"
	}
	if of.GetOptions().GetMapEntry() {
		key, value := of.GetField()[0], of.GetField()[1]
		p.linef("map<%s, %s> %s = %d%s;", typeOf(key), typeOf(value), f.GetName(), f.GetNumber(), options)
		return
	}
	if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP {
		p.block(fmt.Sprintf("%sgroup %s = %d%s", p.label(f), of.GetName(), f.GetNumber(), options), func() { p.content(of, fullName+"."+of.GetName()) })
		return
	}
	p.linef("%s%s %s = %d%s;", p.label(f), typeOf(f), f.GetName(), f.GetNumber(), options)
}

// label is the word before a field's type.
func (p *printer) label(f *descriptorpb.FieldDescriptorProto) string {
	switch {
	case f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED:
		return "repeated "
	case f.GetProto3Optional() || p.proto2 && f.OneofIndex == nil && f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL:
		return "optional "
	case p.proto2 && f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED:
		return "required "
	}
	return ""
}

func typeOf(f *descriptorpb.FieldDescriptorProto) string {
	if f.GetTypeName() != "" {
		return f.GetTypeName()
	}
	return strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
}

func (p *printer) fieldOptions(f *descriptorpb.FieldDescriptorProto) (list []string) {
	if f.DefaultValue != nil {
		list = append(list, "default = "+defaultOf(f))
	}
	if f.JsonName != nil && f.GetJsonName() != camel(f.GetName()) {
		list = append(list, "json_name = "+strconv.QuoteToASCII(f.GetJsonName()))
	}
	if f.GetOptions() != nil && f.GetOptions().Packed != nil {
		list = append(list, fmt.Sprintf("packed = %t", f.GetOptions().GetPacked()))
	}
	return append(list, features(f.GetOptions().GetFeatures())...)
}

func defaultOf(f *descriptorpb.FieldDescriptorProto) string {
	switch f.GetType() {
	case descriptorpb.FieldDescriptorProto_TYPE_STRING:
		return strconv.QuoteToASCII(f.GetDefaultValue())
	case descriptorpb.FieldDescriptorProto_TYPE_BYTES: // it is escaped
		return `"` + f.GetDefaultValue() + `"`
	default:
		return f.GetDefaultValue()
	}
}

// camel is a field's name in JSON where it has no other.
func camel(name string) string {
	var b strings.Builder
	upper := false
	for _, c := range []byte(name) {
		switch {
		case c == '_':
			upper = true
			continue
		case upper && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		upper = false
		b.WriteByte(c)
	}
	return b.String()
}

func (p *printer) enum(e *descriptorpb.EnumDescriptorProto) {
	p.block("enum "+e.GetName(), func() {
		if e.GetOptions().GetAllowAlias() {
			p.linef("option allow_alias = true;")
		}
		p.options(features(e.GetOptions().GetFeatures()))
		for _, v := range e.GetValue() {
			p.linef("%s = %d;", v.GetName(), v.GetNumber())
		}
		for _, r := range e.GetReservedRange() {
			p.linef("reserved %s;", numbers(int64(r.GetStart()), int64(r.GetEnd()), 1<<31-1))
		}
		p.reserved(e.GetReservedName())
	})
}

func (p *printer) reserved(names []string) {
	for _, name := range names {
		if p.proto2 || p.proto3 {
			name = strconv.Quote(name)
		}
		p.linef("reserved %s;", name)
	}
}

func numbers(first, last, most int64) string {
	switch {
	case first == last:
		return strconv.FormatInt(first, 10)
	case last == most:
		return fmt.Sprintf("%d to max", first)
	}
	return fmt.Sprintf("%d to %d", first, last)
}
