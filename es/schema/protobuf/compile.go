package protobuf

import (
	"context"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// compile reads the schema of one of the two. Errors name the place in it: reader.proto:3:7.
func compile(whose, text string) (protoreflect.FileDescriptor, error) {
	if err := measure(text); err != nil {
		return nil, fmt.Errorf("protobuf: the %s's text: %w", whose, err)
	}
	name := whose + ".proto"
	compiler := protocompile.Compiler{
		MaxParallelism: 1,
		Resolver: protocompile.WithStandardImports(protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
			if path != name {
				return protocompile.SearchResult{}, fmt.Errorf("%s is not to be had: of imports there is google/protobuf/*.proto alone, so put what you need of it into the text", path)
			}
			return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
		})),
	}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		return nil, fmt.Errorf("protobuf: the %s's text is no schema: %s", whose, shortened(err.Error()))
	}
	// The compiler's descriptors look names and numbers up one by one; those of the runtime have
	// an index.
	file, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(files[0]), linker.ResolverFromFile(files[0]))
	if err != nil {
		return nil, fmt.Errorf("protobuf: the %s's text is no schema: %s", whose, shortened(err.Error()))
	}
	if file.Messages().Len() == 0 {
		return nil, fmt.Errorf("protobuf: the %s's schema has no message: its first is the payload's", whose)
	}
	return file, nil
}

// shortened is an error's text without most of a long one: it may quote the schema's.
func shortened(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
