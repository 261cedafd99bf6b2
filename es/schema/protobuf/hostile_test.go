package protobuf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es/schema/protobuf"
)

const mebibyte = 1 << 20

func TestCanRead_nested_deep(t *testing.T) {
	t.Parallel()
	for name, part := range map[string][3]string{
		"messages":      {`message M { `, ``, `}`},
		"groups":        {`message M { optional group G = 1 { `, ``, `}}`},
		"open":          {`message M { `, ``, ``},
		"with others":   {`message M { message N { } `, ``, `}`},
		"shut by other": {`message M { > `, ``, ``},
		"options":       {`{a:`, `1`, `}`},
		"angles":        {`<a:`, `1`, `>`},
		"lists":         {`[`, `1`, `]`},
		"parentheses":   {`(`, `1`, `)`},
	} {
		deep := strings.Repeat(part[0], 100_000) + part[1] + strings.Repeat(part[2], 100_000)
		if !strings.HasPrefix(deep, "message") {
			deep = `option (x) = ` + deep + `; message A {}`
		}
		if _, err := protobuf.CanRead(deep, order(``)); err == nil || err.Error() != "protobuf: the reader's text: line 1: more than 64 brackets within each other" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := protobuf.CanRead(order(``), deep); err == nil || err.Error() != "protobuf: the writer's text: line 1: more than 64 brackets within each other" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Brackets and names in strings and comments are none.
func TestCanRead_deep_in_words_alone(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{ [ < ( `, 1000)
	long := strings.Repeat("x", 1000)
	text := proto2 + "/* " + deep + long + " */ // " + deep + long + "\n" +
		`message Order { optional string a = 1 [default = "\"` + deep + long + `"]; optional string b = 2 [default = '` + deep + `']; } //` + deep
	if problems, err := protobuf.CanRead(text, text); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestCanRead_long_names(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"message A {\n optional int32 " + strings.Repeat("x", mebibyte) + ` = 1; }`,
		"message A {\n optional " + strings.Repeat("a.", mebibyte/2) + `a x = 1; }`,
	} {
		_, err := protobuf.CanRead(text, text)
		if err == nil || err.Error() != "protobuf: the reader's text: line 2: a name of more than 256 characters" {
			t.Error(err)
		}
	}
	text := "message A { optional " + strings.Repeat("a . ", mebibyte/4) + `a x = 1; }`
	if _, err := protobuf.CanRead(text, text); err == nil || len(err.Error()) > 1000 {
		t.Error(err)
	}
}

// circle is an order and n messages each of which has the next one, and the last the first.
func circle(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("message M%d { M%d next = 1; }", i, (i+1)%n))
	}
	return order(`M0 first = 1;`, list...)
}

func TestCanRead_in_a_circle(t *testing.T) {
	t.Parallel()
	n := mebibyte / 50
	long := circle(n)
	if problems, err := protobuf.CanRead(long, long); err != nil || len(problems) > 0 {
		t.Error(len(problems), err)
	}
	// Two circles of lengths without a common divisor: each message meets each other.
	if _, err := protobuf.CanRead(long, circle(n-1)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

func TestCanRead_a_megabyte(t *testing.T) {
	t.Parallel()
	const n = 18_000 // of numbers below those that are Protobuf's own
	fields := func(kind string) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("%s a_name_that_is_a_little_longer_to_have_a_text_as_long%d = %d;", kind, i, i+1))
		}
		return order(strings.Join(list, "\n"))
	}
	if text := fields("string"); len(text) < mebibyte {
		t.Fatal(len(text))
	}
	problems, err := protobuf.CanRead(fields("string"), fields("int32"))
	if err != nil || len(problems) != n {
		t.Error(len(problems), err)
	}
	oneof := order(`oneof o {` + strings.TrimSuffix(strings.TrimPrefix(fields("string"), proto3+"message Order {"), "}") + `}`)
	problems, err = protobuf.CanRead(oneof, fields("string"))
	if err != nil || len(problems) != n {
		t.Error(len(problems), err)
	}
	var values []string
	for i := range mebibyte / 16 {
		values = append(values, fmt.Sprintf("V%07d = %d;", i, i))
	}
	problems, err = protobuf.CanRead(status3(`V0000000 = 0;`), status3(strings.Join(values, "")))
	if err != nil || len(problems) != len(values)-1 {
		t.Error(len(problems), err)
	}
}

func FuzzCanRead(f *testing.F) {
	for _, seed := range [][2]string{
		{order(`int32 total = 1; string note = 2;`), order(`int64 total = 1;`)},
		{order(`oneof pay { string card = 1; string cash = 2; }`), order(`string card = 1; string cash = 2;`)},
		{order(`map<string, Line> lines = 1;`, line), order(`repeated Line lines = 1;`, line)},
		{status2(`NEW = 1; PAID = 2;`), status3(`NEW = 0; reserved 1 to 5; reserved "PAID";`)},
		{edited(`Order next = 1 [features.message_encoding = DELIMITED];`), order2(`optional group Next = 1 { required int32 a = 1; }`)},
		{known("Timestamp"), known("Duration")},
		{proto2 + `message Order { extensions 100 to max; } extend Order { optional int32 x = 100; }`, proto2 + `message Order { option message_set_wire_format = true; extensions 4 to max; }`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, reader, writer string) {
		for _, canRead := range []func(_, _ string) error{
			func(r, w string) error { _, err := protobuf.CanRead(r, w); return err },
			func(r, w string) error { _, err := protobuf.CanReadNewer(r, w); return err },
		} {
			if err := canRead(reader, writer); err != nil && !strings.HasPrefix(err.Error(), "protobuf: ") {
				t.Error(err)
			}
		}
		if problems, err := protobuf.CanRead(reader, reader); err == nil && len(problems) > 0 {
			t.Errorf("a schema does not read itself: %v", problems)
		}
	})
}
