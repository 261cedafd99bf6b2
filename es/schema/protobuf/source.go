package protobuf

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Source returns the text of a message and of all that it needs, in one piece, as [CanRead] takes
// it. What is of google/protobuf/*.proto is imported; the rest must be of the message's own
// package, and by the same syntax. Comments, extensions and options of one's own are left out.
func Source(message protoreflect.MessageDescriptor) (string, error) {
	file := message.ParentFile()
	if message.Parent() != file {
		return "", fmt.Errorf("%s stands within another message: an event's stands by itself", message.FullName())
	}
	n := needed{file: file, seen: map[protoreflect.FullName]bool{}, imports: map[string]bool{}}
	if err := n.add(message); err != nil {
		return "", err
	}
	of := protodesc.ToFileDescriptorProto(file)
	p := &printer{proto3: file.Syntax() == protoreflect.Proto3, proto2: file.Syntax() == protoreflect.Proto2}
	p.head(of, n.imports)
	for _, m := range n.messages {
		p.message(protodesc.ToDescriptorProto(m), string(m.FullName()))
	}
	for _, e := range n.enums {
		p.enum(protodesc.ToEnumDescriptorProto(e))
	}
	return p.String(), nil
}

// needed are the messages and enums at the top of files that a message needs, itself first.
type needed struct {
	file     protoreflect.FileDescriptor
	messages []protoreflect.MessageDescriptor
	enums    []protoreflect.EnumDescriptor
	imports  map[string]bool
	seen     map[protoreflect.FullName]bool
}

// add adds what a type stands within, and what that needs.
func (n *needed) add(of protoreflect.Descriptor) error {
	top := of
	for top.Parent() != top.ParentFile() {
		top = top.Parent()
	}
	if n.seen[top.FullName()] {
		return nil
	}
	n.seen[top.FullName()] = true
	if path := top.ParentFile().Path(); strings.HasPrefix(path, "google/protobuf/") && n.file.Path() != path {
		n.imports[path] = true
		return nil
	}
	if err := n.fits(top); err != nil {
		return err
	}
	switch d := top.(type) {
	case protoreflect.EnumDescriptor:
		n.enums = append(n.enums, d)
	case protoreflect.MessageDescriptor:
		n.messages = append(n.messages, d)
		return n.fields(d)
	}
	return nil
}

// fits tells why a type cannot stand in one text with the message.
func (n *needed) fits(d protoreflect.Descriptor) error {
	file := d.ParentFile()
	switch {
	case file.Package() != n.file.Package():
		return fmt.Errorf("it needs %s, which is of another package: the log keeps one text, of one package: put what you need of it into %s", d.FullName(), n.file.Package())
	case head(file) != head(n.file):
		return fmt.Errorf("it needs %s, whose file has another syntax or other features: give both the same", d.FullName())
	}
	return nil
}

// head is what a file says of all that is in it.
func head(file protoreflect.FileDescriptor) string {
	p := &printer{}
	of := protodesc.ToFileDescriptorProto(file)
	p.head(&descriptorpb.FileDescriptorProto{Syntax: of.Syntax, Edition: of.Edition, Options: of.GetOptions()}, nil)
	return p.String()
}

func (n *needed) fields(m protoreflect.MessageDescriptor) error {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		var of protoreflect.Descriptor
		if f.Message() != nil {
			of = f.Message()
		}
		if f.Enum() != nil {
			of = f.Enum()
		}
		if of == nil {
			continue
		}
		if err := n.add(of); err != nil {
			return err
		}
	}
	for i := range m.Messages().Len() {
		if err := n.fields(m.Messages().Get(i)); err != nil {
			return err
		}
	}
	return nil
}
