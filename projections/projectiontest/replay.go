package projectiontest

import (
	"context"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/internal/rehearsal"
)

// Option changes what Replay tries.
type Option func(*replay)

// Seed makes the crashes and the order of streams other ones; 1 by default.
func Seed(n uint64) Option { return func(r *replay) { r.seed = n } }

// Without leaves columns out that the events do not determine, each as "table.column", or
// all of a table. Those that the database fills by itself are left out anyway.
func Without(columns ...string) Option {
	return func(r *replay) { r.without = append(r.without, columns...) }
}

type replay struct {
	stage   *rehearsal.Stage
	history []es.RecordedEvent
	seed    uint64
	without []string
}

// Replay applies the events of a store's log to the projection's tables in every way in
// which a running projector and a rebuild may:
//
//   - one by one, and so again;
//   - several at a time and all at once, with rows that stay in memory and with rows that
//     are looked up;
//   - with Apply called for several rows at the same time (the race detector then sees what
//     they share);
//   - with payloads whose memory others have once they are decoded;
//   - by COPY, in one part, in several parts, and gone on with after a stop;
//   - with events that come twice;
//   - with crashes in batches and between them;
//   - where Order is OneStream or Commuting, with streams that overtake each other.
//
// All must leave the same rows. If they do not, the test fails and says which value
// differs when, from which event on, and why that may be. Nothing is left in the database.
//
// What it finds: an Apply that keeps state of its own, asks a clock, draws random numbers
// or goes over a map; a codec that keeps the memory of payloads; a field without a column, and
// a column that does not keep what is put into it; a statement whose result is used; an Order that is not so. It takes some
// milliseconds an event. It does not see what is the same in every replay, such as a
// clock that is asked for the date.
//
// Columns that the database fills by itself are not compared: identity, serial, generated
// and with a default such as now(), unless a Fold has a field for them; nor are those that
// reference them. [Without] leaves out others.
func Replay(t testing.TB, store *pgstore.Store, def projections.Definition, options ...Option) {
	t.Helper()
	r := &replay{seed: 1}
	for _, option := range options {
		option(r)
	}
	if err := r.prepare(t.Context(), store, def); err != nil {
		t.Fatalf("projectiontest: %v", err)
	}
	findings, err := r.try(t.Context())
	if err != nil {
		t.Fatalf("projectiontest: %v", err)
	}
	for _, text := range findings {
		t.Errorf("projectiontest: %s", strings.TrimSpace(text))
	}
}

func (r *replay) prepare(ctx context.Context, store *pgstore.Store, def projections.Definition) (err error) {
	if r.stage, err = projections.New(store, def).Rehearsal(ctx); err != nil {
		return err
	}
	r.history, err = read(ctx, store)
	return err
}

// play applies events in a way, and returns the tables.
func (r *replay) play(ctx context.Context, w way, events []es.RecordedEvent) (image, error) {
	l := look{stage: r.stage, without: r.without}
	err := r.stage.Play(ctx, w.plan(events), l.read)
	return l.image, err
}
