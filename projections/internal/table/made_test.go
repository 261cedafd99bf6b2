package table //nolint:testpackage // what it tests is not for others

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// asks compares what is made here of texts with what the database makes of them. A text that
// it refuses may be anything here.
type asks struct {
	pool *pgxpool.Pool
	cast string // SQL, of a text in $1
	made made
}

func (a asks) compare(t *rapid.T, texts []string) {
	for _, text := range texts {
		var want string
		if err := a.pool.QueryRow(context.Background(), "select "+a.cast, text).Scan(&want); err != nil {
			continue
		}
		got, err := a.made([]byte(text))
		if err != nil || string(got) != want {
			t.Fatalf("%q as %s: got %q, %v, want %q", text, a.cast, got, err, want)
		}
	}
}

func numbers() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[+-]?[0-9]{0,9}(\.[0-9]{0,9})?([eE][+-]?[0-9]{1,2})?`),
		rapid.StringMatching(` ?[+-]?[09]{1,4}\.[0459]{1,6} ?`),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,40})?`),
		rapid.SampledFrom([]string{"NaN", "nan", "inf", "-Infinity", "1e100", "-1e-100", "1e131071", "1e-16383"}),
	)
}

func TestNumbers_are_written_as_the_database_writes_them(t *testing.T) {
	t.Parallel()
	pool := pgstoretest.New(t).Pool()
	for _, typ := range []struct {
		name     string
		modifier int32
	}{{"numeric(12,2)", 12<<16 | 2}, {"numeric(9,0)", 9 << 16}, {"numeric(5,-2)", 5<<16 | -2&0x7ff}, {"numeric(3,6)", 3<<16 | 6}, {"numeric(1000,1000)", 1000<<16 | 1000}} {
		t.Run(typ.name, func(t *testing.T) {
			t.Parallel()
			k := kind{base: "numeric", modifier: typ.modifier + 4}
			rapid.Check(t, func(t *rapid.T) {
				asks{pool, fmt.Sprintf(`$1::text::%s::text`, typ.name), k.number()}.compare(t, rapid.SliceOfN(numbers(), 1, 20).Draw(t, "numbers"))
			})
		})
	}
	t.Run("numeric", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) { // of zero the driver keeps no digits behind the point
			asks{pool, `case when $1::text::numeric = 0 then '0' else $1::text::numeric::text end`, kind{base: "numeric", modifier: -1}.number()}.compare(t, rapid.SliceOfN(numbers(), 1, 20).Draw(t, "numbers"))
		})
	})
}

func TestTexts_of_a_length_are_cut_and_padded_as_the_database_does(t *testing.T) {
	t.Parallel()
	pool := pgstoretest.New(t).Pool()
	if _, err := pool.Exec(t.Context(), `create table sized (c char(3), v varchar(3));
		create function into_char(text) returns text language sql as $$ insert into sized (c) values ($1) returning concat(c, '') $$;
		create function into_varchar(text) returns text language sql as $$ insert into sized (v) values ($1) returning v $$`); err != nil {
		t.Fatal(err)
	}
	texts := rapid.SliceOfN(rapid.StringMatching(`[aü☃]{0,4} {0,3}[a]?`), 1, 9)
	rapid.Check(t, func(t *rapid.T) {
		asks{pool, `into_char($1)`, kind{base: "bpchar", modifier: 7}.sized()}.compare(t, texts.Draw(t, "for char"))
		asks{pool, `into_varchar($1)`, kind{base: "varchar", modifier: 7}.sized()}.compare(t, texts.Draw(t, "for varchar"))
	})
}

// jsonTexts are of any form: with spaces, keys that come twice, escapes and numbers of every kind.
func jsonTexts() *rapid.Generator[string] {
	scalar := rapid.OneOf(
		rapid.SampledFrom([]string{"null", "true", "false", "-0", "-0.00", "0e5", "1E400", "1e-400", `""`, `"\u00e9\ud83d\ude00"`, `"a\/b\b\f\n\r\t\"\\"`, `"\u0001\u001f\u007f"`, `"é😀<&>"`}),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?`),
		rapid.StringMatching(`"[a-zé ]{0,3}"`),
	)
	space := rapid.StringMatching(`[ \n\t]{0,2}`)
	return rapid.Custom(func(t *rapid.T) string {
		var value func(depth int) string
		value = func(depth int) string {
			n := rapid.IntRange(0, 4).Draw(t, "n")
			form := rapid.IntRange(0, 2).Draw(t, "form")
			if depth == 0 || form == 0 {
				return scalar.Draw(t, "scalar")
			}
			s := func() string { return space.Draw(t, "space") }
			var parts []string
			for range n {
				part := s() + value(depth-1) + s()
				if form == 1 {
					part = s() + rapid.StringMatching(`"(a|b|é|aa|\\u0061|\\n)?"`).Draw(t, "key") + s() + ":" + part
				}
				parts = append(parts, part)
			}
			if form == 1 {
				return "{" + s() + strings.Join(parts, ",") + "}"
			}
			return "[" + s() + strings.Join(parts, ",") + "]"
		}
		return value(3)
	})
}

func TestDocuments_are_written_as_the_database_writes_them(t *testing.T) {
	t.Parallel()
	pool := pgstoretest.New(t).Pool()
	rapid.Check(t, func(t *rapid.T) {
		asks{pool, `$1::text::jsonb::text`, jsonb}.compare(t, rapid.SliceOfN(jsonTexts(), 1, 5).Draw(t, "texts"))
	})
}

func TestDocuments_that_are_none_are_refused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "1 2", `"\u0000"`, `{"\u0000": 1}`, "[1e999999999]", "nul"} {
		if got, err := jsonb([]byte(text)); err == nil {
			t.Errorf("%s: %s", text, got)
		}
	}
}
