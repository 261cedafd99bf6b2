package protobuf_test

import (
	"fmt"

	"github.com/asof-dev/asof/es/schema/protobuf"
)

func ExampleCanRead() {
	former := `syntax = "proto3"; package shop;
		message OrderPlaced { int64 total = 1; string note = 2; repeated Line lines = 3; }
		message Line { string sku = 1; int32 price = 2; }`
	next := `syntax = "proto3"; package shop;
		message OrderPlaced { string total = 1; repeated Line lines = 3; }
		message Line { string article = 1; int64 price = 2; }`
	problems, err := protobuf.CanRead(next, former)
	if err != nil {
		fmt.Println(err)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// field total became string (it was int64): it reads another encoding: add a new field
	// field note is gone, and its number 2 and its name may be used again: reserve 2 and "note"
}

func ExampleCanReadNewer() {
	former := `syntax = "proto3"; message OrderPlaced { int64 total = 1; }`
	next := `syntax = "proto3"; message OrderPlaced { int64 total = 1; string note = 2; }`
	problems, err := protobuf.CanReadNewer(former, next)
	fmt.Println(len(problems), err)
	// Output: 0 <nil>
}
