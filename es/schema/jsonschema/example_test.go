package jsonschema_test

import (
	"os"

	"fmt"

	"github.com/asof-dev/asof/es/schema/jsonschema"
)

func ExampleCanRead() {
	former := `{"type": "object", "properties": {"total": {"type": "integer"}, "note": {"type": "string"}}}`
	newer := `{"type": "object", "properties": {"total": {"type": "string"}, "note": {"type": "string"}}, "required": ["note"]}`
	problems, err := jsonschema.CanRead(newer, former)
	if err != nil {
		panic(err)
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stdout, p)
	}
	// Output:
	// field note is required now: leave it optional
	// field total became string (it was integer): add a new field
}
