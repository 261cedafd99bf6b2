package avro_test

import (
	"regexp"
	"strings"
	"testing"

	foreign "github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es/schema"
	"github.com/asof-dev/asof/es/schema/avro"
)

func drawn(r *rapid.T) (reader, writer *shape) {
	s := &shapes{T: r}
	writer = s.root()
	reader = s.evolved(writer)
	if rapid.Bool().Draw(r, "the other way") {
		return writer, reader
	}
	return reader, writer
}

// What CanRead lets pass, a decoder reads: any data of the writer's, and all of it.
func TestCanRead_what_passes_is_read(t *testing.T) {
	t.Parallel()
	passed := 0
	rapid.Check(t, func(r *rapid.T) {
		reader, writer := drawn(r)
		problems, err := avro.CanRead(reader.text(), writer.text())
		if err != nil {
			r.Fatal(err)
		}
		if len(problems) > 0 {
			return
		}
		passed++
		written := foreign.MustParse(writer.text())
		resolved, err := foreign.Resolve(written, foreign.MustParse(reader.text()))
		if err != nil {
			r.Fatalf("no problem, but %v\n%s\n%s", err, reader.text(), writer.text())
		}
		for range 5 {
			data := writer.data(r, writer, 3, nil)
			var value any
			if rest, err := written.Decode(data, &value); err != nil || len(rest) > 0 {
				r.Fatalf("the test writes nonsense: %v %x\n%s", err, data, writer.text())
			}
			if rest, err := resolved.Decode(data, &value); err != nil || len(rest) > 0 {
				r.Fatalf("no problem, but %v, rest %x of %x\n%s\n%s", err, rest, data, reader.text(), writer.text())
			}
		}
	})
	if passed == 0 {
		t.Error("no pair passed: the test shows nothing")
	}
}

// What CanRead does not let pass, a decoder refuses, but for what it does not look at.
func TestCanRead_a_problem_is_one(t *testing.T) {
	t.Parallel()
	found := 0
	rapid.Check(t, func(r *rapid.T) {
		reader, writer := drawn(r)
		problems, err := avro.CanRead(reader.text(), writer.text())
		if err != nil {
			r.Fatal(err)
		}
		var seen []schema.Problem
		for _, p := range problems {
			if strings.HasPrefix(p.Says, "is new") && reader.orNull(lastName(p.Path)) || ours(p) {
				continue
			}
			seen = append(seen, p)
		}
		_, err = foreign.Resolve(foreign.MustParse(writer.text()), foreign.MustParse(reader.text()))
		if (len(seen) > 0) != (err != nil) {
			r.Fatalf("%v, but %v\n%s\n%s", seen, err, reader.text(), writer.text())
		}
		found += len(seen)
	})
	if found == 0 {
		t.Error("there was no problem: the test shows nothing")
	}
}

func TestCanRead_each_reads_itself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := (&shapes{T: r}).root().text()
		if problems, err := avro.CanRead(text, text); err != nil || len(problems) > 0 {
			r.Fatal(problems, err, text)
		}
	})
}

var (
	names = regexp.MustCompile(`has the name \w+\.(\w+) \(it was \w+\.(\w+)\)`)
	types = regexp.MustCompile(`became (.+) \(it was (.+)\)`)
)

func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// ours is whether the library lets pass what we do not: names that differ in their namespace
// alone, and logical types. (It also takes null for the default of a field that may be null,
// which the specification does not.)
func ours(p schema.Problem) bool {
	if m := names.FindStringSubmatch(p.Says); m != nil {
		return m[1] == m[2]
	}
	m := types.FindStringSubmatch(p.Says)
	if m == nil || strings.HasPrefix(m[1], "decimal") && strings.HasPrefix(m[2], "decimal") {
		return false
	}
	underlying := strings.NewReplacer("timestamp-millis", "long", "timestamp-micros", "long", "date", "int", "uuid", "string", "decimal(4,0)", "bytes", "decimal(5,0)", "bytes", "decimal(6,0)", "bytes")
	reader, writer := underlying.Replace(m[1]), underlying.Replace(m[2])
	if reader == m[1] && writer == m[2] {
		return false
	}
	readable, err := foreign.Parse(`"` + reader + `"`)
	if err != nil {
		return false
	}
	written, err := foreign.Parse(`"` + writer + `"`)
	return err == nil && foreign.CheckCompatibility(written, readable) == nil
}

// A time in other units is read as another time: what the library lets pass.
func TestCanRead_units_of_time_change_values(t *testing.T) {
	t.Parallel()
	written := foreign.MustParse(long("timestamp-millis"))
	data, err := written.Encode(map[string]any{"total": int64(1_700_000_000_000)})
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := foreign.Resolve(written, foreign.MustParse(long("timestamp-micros")))
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]any
	if _, err := written.Decode(data, &before); err != nil {
		t.Fatal(err)
	}
	if _, err := resolved.Decode(data, &after); err != nil {
		t.Fatal(err)
	}
	if before["total"] == after["total"] {
		t.Error(before, after)
	}
}
