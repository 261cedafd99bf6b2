package projections

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// Definition is a read model and how events change it: a [Fold] or a [SQL].
type Definition interface {
	compile() (*definition, error)
}

// definition is what the rest of the package knows of a Fold or a SQL.
type definition struct {
	name       string
	version    int
	ddl        string
	categories []string // empty: all
	order      Order
	instance   string // of this process: see identity
	// bind looks at the tables that ddl made, on whose schema the search path is.
	bind func(ctx context.Context, tx pgx.Tx, schema string) (applier, error)
}

// applier changes the tables of one build. The search path is on their schema.
type applier interface {
	// apply changes the tables by events that are new and in order. It may write at
	// once or queue writes into out, which is sent after it returns.
	apply(ctx context.Context, tx pgx.Tx, t target, events []es.RecordedEvent, out *pgx.Batch) (skipped int64, err error)
}

// target says where to write.
type target struct {
	schema string
	tag    string // a comment that makes each build's statements its own: see tagged
	fresh  bool   // the tables are empty
	bulk   bool   // the batch is large, and nobody else waits for the rows
	moves  bool   // a unique value moves between rows: see write
}

// tagged marks a statement with the build that it is for. pgx prepares statements
// by their text, and the same text means other tables, with other column types, in
// another build.
func (t target) tagged(sql string) string { return "/* asof " + t.tag + " */ " + sql }

const (
	namePattern   = `^[a-z][a-z0-9_]{0,39}$`
	shadowPattern = `_v[0-9]+(_b[0-9]+)?$`
)

func (d *definition) validate() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %q: "+format, append([]any{ErrInvalid, d.name}, args...)...)
	}
	switch {
	case !regexp.MustCompile(namePattern).MatchString(d.name):
		return refuse("Name becomes a schema: use 1 to 40 of a-z 0-9 _, beginning with a letter")
	case strings.HasPrefix(d.name, "pg_") || d.name == "public" || d.name == "information_schema":
		return refuse("Name is a schema of Postgres: choose another")
	case regexp.MustCompile(shadowPattern).MatchString(d.name):
		return refuse("Name ends like the schema of an older version: choose another")
	case d.version < 1:
		return refuse("Version is %d: count from 1", d.version)
	case d.order < LogOrder || d.order > Commuting:
		return refuse("Order is %s: use LogOrder, OneStream or Commuting", d.order)
	case strings.TrimSpace(d.ddl) == "":
		return refuse("the table's DDL is missing")
	}
	for _, category := range d.categories {
		if err := (es.StreamID{Category: category, ID: "x"}).Validate(); err != nil {
			return refuse("Categories: %w", err)
		}
	}
	return nil
}

// fingerprint tells whether the DDL is the one that made a build's tables, and the
// categories are those that filled them: of one that came later, what was recorded
// before would be missing.
func (d *definition) fingerprint() string {
	parts := append([]string{strings.Join(strings.Fields(d.ddl), " ")}, slices.Sorted(slices.Values(d.categories))...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// decoder turns recorded events into the service's.
type decoder[E es.Event] struct {
	codec   es.Codec[E]
	known   map[string]bool
	name    string
	version int
}

func newDecoder[E es.Event](name string, version int, codec es.Codec[E]) decoder[E] {
	d := decoder[E]{codec: codec, known: map[string]bool{}, name: name, version: version}
	for _, t := range codec.Types() {
		d.known[t] = true
	}
	return d
}

// decode returns false for an event of a type that the codec does not know.
func (d *decoder[E]) decode(recorded es.RecordedEvent) (E, bool, error) {
	var none E
	if !d.known[recorded.Type] { // asking the codec would format an error for each
		return none, false, nil
	}
	event, err := d.codec.Decode(recorded)
	if errors.Is(err, es.ErrUnknownType) {
		return none, false, nil
	}
	if err != nil {
		return none, false, d.fail(recorded.Recorded, err)
	}
	return event, true, nil
}

func (d *decoder[E]) fail(r es.Recorded, err error) error {
	return &EventError{Projection: d.name, Version: d.version, Event: r, Err: err}
}

// guard runs the user's code and turns a panic into an error that names the event.
func (d *decoder[E]) guard(r es.Recorded, f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = d.fail(r, fmt.Errorf("panic: %v", v))
		}
	}()
	f()
	return nil
}
