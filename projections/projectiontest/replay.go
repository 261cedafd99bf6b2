package projectiontest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/internal/rehearsal"
)

// Option changes what Replay tries.
type Option func(*replay)

// InOrder leaves out the replays in which the events of different streams come in
// another order, for a projection that is only ever read from the log.
func InOrder() Option { return func(r *replay) { r.inOrder = true } }

// Seed makes the random replays other ones; 1 by default.
func Seed(n uint64) Option { return func(r *replay) { r.seed = n } }

type replay struct {
	store   *pgstore.Store
	p       *projections.Projector
	history []es.RecordedEvent
	inOrder bool
	seed    uint64
}

// Replay applies all events of a store's log to the projection's tables: at once, one
// by one, twice over, with batches that are rolled back and applied again, and with
// the streams shuffled as Kafka may do. All must leave the same rows, or the test
// fails and shows the difference. Nothing is left in the database.
//
// What it finds: an Apply that keeps state of its own, asks a clock or draws random
// numbers; a value that its column does not keep; a row of several streams that
// depends on their order.
func Replay(t testing.TB, store *pgstore.Store, def projections.Definition, options ...Option) {
	t.Helper()
	r := &replay{store: store, p: projections.New(store, def), seed: 1}
	for _, option := range options {
		option(r)
	}
	if err := r.read(t.Context()); err != nil {
		t.Fatalf("projectiontest: %v", err)
	}
	want, err := r.run(t.Context(), batches(r.history, len(r.history)))
	if err != nil {
		t.Fatalf("projectiontest: replay at once: %v", err)
	}
	if len(want) == 0 {
		t.Fatalf("projectiontest: the %d events of the log leave no row: append a history that touches the projection first", len(r.history))
	}
	for _, v := range r.variants() {
		got, err := r.run(t.Context(), v.batches)
		if err != nil {
			t.Errorf("projectiontest: replay %s: %v", v.name, err)
			continue
		}
		if diff := difference(want, got); diff != "" {
			t.Errorf("projectiontest: replay %s differs from one clean replay (- clean, + this):\n%s", v.name, diff)
		}
	}
}

// read reads the whole log.
func (r *replay) read(ctx context.Context) error {
	head, err := r.store.Settle(ctx, time.Time{})
	if err != nil {
		return err
	}
	for after := es.Position(0); after < head; {
		page, err := r.store.Read(ctx, after, 1000)
		if err != nil {
			return err
		}
		if len(page) == 0 { // positions that were rolled back
			return nil
		}
		r.history = append(r.history, page...)
		after = page[len(page)-1].Position
	}
	return nil
}

type variant struct {
	name    string
	batches []rehearsal.Batch
}

func (r *replay) variants() []variant {
	random := rand.New(rand.NewPCG(r.seed, 0))
	list := []variant{
		{"one by one", batches(r.history, 1)},
		{"twice over", append(batches(r.history, 7), batches(r.history, 5)...)},
		{"with crashes", crashing(random, batches(r.history, 3))},
	}
	if r.inOrder {
		return list
	}
	for range 3 {
		list = append(list, variant{fmt.Sprintf("shuffled (seed %d)", r.seed), crashing(random, batches(shuffled(random, r.history), 1+random.IntN(9)))})
	}
	return list
}

func batches(events []es.RecordedEvent, size int) []rehearsal.Batch {
	var list []rehearsal.Batch
	for chunk := range slices.Chunk(events, max(1, size)) {
		list = append(list, rehearsal.Batch{Events: chunk})
	}
	return list
}

func crashing(random *rand.Rand, list []rehearsal.Batch) []rehearsal.Batch {
	for i := range list {
		list[i].Crash = random.IntN(2) == 0
	}
	return list
}

// shuffled keeps the order within each stream, and repeats some.
func shuffled(random *rand.Rand, events []es.RecordedEvent) []es.RecordedEvent {
	queues := map[es.StreamID][]es.RecordedEvent{}
	var turns []es.StreamID
	for _, e := range events {
		queues[e.Stream] = append(queues[e.Stream], e)
		turns = append(turns, e.Stream)
	}
	random.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	var list []es.RecordedEvent
	for _, stream := range turns {
		list = append(list, queues[stream][0])
		queues[stream] = queues[stream][1:]
		if random.IntN(5) == 0 {
			list = append(list, list[random.IntN(len(list))])
		}
	}
	return list
}

// tablesSQL lists the tables of the scratch schema, the first on the search path.
const tablesSQL = `select tablename from pg_tables where schemaname = current_schema() order by 1`

// run applies batches and returns the rows as text, in order.
func (r *replay) run(ctx context.Context, list []rehearsal.Batch) ([]string, error) {
	var rows []string
	err := r.p.Rehearse(ctx, list, func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, tablesSQL)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range tables {
			name := pgx.Identifier{table}.Sanitize()
			found, err := tx.Query(ctx, `select $1 || ' ' || t::text from `+name+` t order by 1`, pgx.QueryExecModeExec, table)
			if err != nil {
				return err
			}
			list, err := pgx.CollectRows(found, pgx.RowTo[string])
			if err != nil {
				return err
			}
			rows = append(rows, list...)
		}
		return nil
	})
	return rows, err
}

// difference shows at most ten rows of each side.
func difference(want, got []string) string {
	var b strings.Builder
	show := func(sign string, list, other []string) {
		have := map[string]int{}
		for _, row := range other {
			have[row]++
		}
		shown := 0
		for _, row := range list {
			if have[row]--; have[row] < 0 && shown < 10 {
				shown++
				fmt.Fprintf(&b, "%s %s\n", sign, row)
			}
		}
	}
	show("-", want, got)
	show("+", got, want)
	return b.String()
}
