package avro_test

import (
	"fmt"

	"github.com/asof-dev/asof/es/schema/avro"
)

func ExampleCanRead() {
	former := `{"type": "record", "name": "shop.OrderPlaced", "fields": [
		{"name": "total", "type": "int"},
		{"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
			{"name": "price", "type": "long"}]}}}]}`
	next := `{"type": "record", "name": "shop.OrderPlaced", "fields": [
		{"name": "total", "type": "string"},
		{"name": "currency", "type": "string"},
		{"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
			{"name": "price", "type": "double"}]}}}]}`
	problems, err := avro.CanRead(next, former)
	if err != nil {
		fmt.Println(err)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// field total became string (it was int): add a new field
	// field currency is new and has no default: give it a default
}
