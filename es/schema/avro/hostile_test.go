package avro_test

import (
	"fmt"
	"strings"
	"testing"

	foreign "github.com/twmb/avro"

	"github.com/asof-dev/asof/es/schema/avro"
)

const mebibyte = 1 << 20

func TestCanRead_nested_deep(t *testing.T) {
	t.Parallel()
	for name, part := range map[string][3]string{
		"arrays":  {`{"type": "array", "items": `, `"int"`, `}`},
		"unions":  {`[`, `"int"`, `]`},
		"records": {`{"type": "record", "name": "R", "fields": [{"name": "f", "type": `, `"int"`, `}]}`},
		"open":    {`{"type": `, ``, ``},
	} {
		deep := strings.Repeat(part[0], 100_000) + part[1] + strings.Repeat(part[2], 100_000)
		if _, err := avro.CanRead(deep, `"int"`); err == nil || !strings.HasPrefix(err.Error(), "avro: the reader's") || strings.Count(err.Error(), "avro: ") > 1 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := avro.CanRead(`"int"`, deep); err == nil || !strings.HasPrefix(err.Error(), "avro: the writer's") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCanRead_deepest(t *testing.T) {
	t.Parallel()
	const deep = 900
	array := func(of string) string {
		return strings.Repeat(`{"type": "array", "items": `, deep) + of + strings.Repeat(`}`, deep)
	}
	problems, err := avro.CanRead(array(`"string"`), array(`"int"`))
	if err != nil || len(problems) != 1 || problems[0].Path != strings.Repeat("[]", deep) {
		t.Error(problems, err)
	}
}

// circle is an order with n records each of which has the next one, and the last the first.
func circle(name func(i int) string, n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"name": "f%d", "type": {"type": "record", "name": "%s", "fields": [{"name": "next", "type": "%s"}]}}`, i, name(i), name((i+1)%n)))
	}
	return order(list...)
}

func TestCanRead_in_a_circle(t *testing.T) {
	t.Parallel()
	n := mebibyte / 100
	numbered := func(i int) string { return fmt.Sprintf("r%d", i) }
	long := circle(numbered, n)
	if problems, err := avro.CanRead(long, long); err != nil || len(problems) > 0 {
		t.Error(len(problems), err)
	}
	// Two circles of lengths without a common divisor: each record meets each other.
	spaces := func(i int) string { return fmt.Sprintf("n%d.R", i) }
	_, err := avro.CanRead(circle(spaces, n), circle(spaces, n-1))
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

func TestCanRead_a_megabyte(t *testing.T) {
	t.Parallel()
	fields := func(of string) string {
		var list []string
		for i := range mebibyte / 40 {
			list = append(list, fmt.Sprintf(`{"name": "f%06d", "type": %s}`, i, of))
		}
		return order(list...)
	}
	problems, err := avro.CanRead(fields(`"string"`), fields(`"int"`))
	if err != nil || len(problems) != mebibyte/40 {
		t.Error(len(problems), err)
	}
	name := strings.Repeat("x", mebibyte)
	problems, err = avro.CanRead(order(`{"name": "`+name+`", "type": "int"}`), order(`{"name": "`+name+`", "type": "long"}`))
	if err != nil || len(problems) != 1 {
		t.Error(len(problems), err)
	}
	var symbols []string
	for i := range mebibyte / 12 {
		symbols = append(symbols, fmt.Sprintf(`"s%08d"`, i))
	}
	problems, err = avro.CanRead(enum(`"symbols": [`+strings.Join(symbols, ",")+`], "default": "s00000000"`), enum(`"symbols": [`+strings.Join(symbols, ",")+`]`))
	if err != nil || len(problems) > 0 {
		t.Error(len(problems), err)
	}
}

// A path that is long, and below it many problems, would take gigabytes.
func TestCanRead_long_paths(t *testing.T) {
	t.Parallel()
	text := func(of string) string {
		var list []string
		for i := range mebibyte / 2 / 40 {
			list = append(list, fmt.Sprintf(`{"name": "f%06d", "type": "%s"}`, i, of))
		}
		return order(`{"name": "` + strings.Repeat("x", mebibyte/2) + `", "type": {"type": "record", "name": "R", "fields": [` + strings.Join(list, ", ") + `]}}`)
	}
	if _, err := avro.CanRead(text("int"), text("string")); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

func FuzzCanRead(f *testing.F) {
	for _, seed := range [][2]string{
		{order(id), order(id, note)},
		{enum(`"symbols": ["A"], "default": "A"`), enum(`"symbols": ["A", "B"]`)},
		{of(`["null", ` + card + `]`), of(`[` + cash + `, ` + card + `]`)},
		{decimal("9", "2"), fixed("D", `"size": 8, "logicalType": "decimal", "precision": 9`)},
		{of(strings.Replace(tree, "%", "long", 1)), of(strings.Replace(tree, "%", "int", 1))},
		{strings.Replace(order(id), `"shop.Order"`, `"store.Order", "aliases": ["shop.Order"]`, 1), order(id)},
		{`{"type": "map", "values": "bytes"}`, `{"type": "map", "values": "string"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, reader, writer string) {
		problems, err := avro.CanRead(reader, writer)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "avro: ") || problems != nil {
				t.Error(problems, err)
			}
			return
		}
		if len(problems) > 0 {
			return
		}
		if _, err := foreign.Resolve(foreign.MustParse(writer), foreign.MustParse(reader)); err != nil {
			t.Errorf("no problem, but %v", err)
		}
	})
}
