package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Move is a row of a projection in SQL.
type Move struct {
	Account  string `db:"account"`
	Moves    int64  `db:"moves"`
	Largest  int64  `db:"largest"`
	Position int64  `db:"position"`
}

func moves() projections.Statements[Event] {
	return projections.Statements[Event]{
		Name: "moves", Version: 1,
		Tables: `create table moves (account text primary key, moves bigint not null, largest bigint not null, position bigint not null)`,
		Codec:  codec(),
		Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
			b.Queue(`insert into moves as m values ($1, 1, $2, $3) on conflict (account) do update
				set moves = m.moves + 1, largest = greatest(m.largest, excluded.largest), position = excluded.position`,
				r.Stream.ID, cents(e), int64(r.Position))
		},
	}
}

func cents(e Event) int64 {
	switch e := e.(type) {
	case Deposited:
		return e.Cents
	case Withdrawn:
		return e.Cents
	default:
		return 0
	}
}

func byMover(m Move) string { return m.Account }

// foldMoves is what the table must hold: written without SQL.
func (w *world) foldMoves(history []es.RecordedEvent) map[string]Move {
	w.Helper()
	rows := map[string]Move{}
	for _, recorded := range history {
		event, err := es.One(w.codec.Decode(w.Context(), nil, recorded))
		if err != nil {
			continue
		}
		m := rows[recorded.Stream.ID]
		m.Account, m.Moves, m.Largest, m.Position = recorded.Stream.ID, m.Moves+1, max(m.Largest, cents(event)), int64(recorded.Position)
		rows[recorded.Stream.ID] = m
	}
	return rows
}

// prefix is the events that had happened at a moment.
func prefix(history []es.RecordedEvent, at es.AsOf) []es.RecordedEvent {
	var list []es.RecordedEvent
	for _, e := range history {
		if at.Includes(e.Recorded) {
			list = append(list, e)
		}
	}
	return list
}

// asOf reads a table as of a moment.
func asOf[R any](w *world, p *projections.Projector, at es.AsOf, table string, key func(R) string) map[string]R {
	w.Helper()
	var rows map[string]R
	err := p.AsOf(w.Context(), at, func(_ context.Context, tx pgx.Tx) error {
		rows = readTable(w, tx, table, key)
		return nil
	})
	if err != nil {
		w.Fatalf("as of %s: %v", at, err)
	}
	return rows
}

func TestAsOf_is_the_fold_of_the_prefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, m, s := projections.New(w.store, balances()), projections.New(w.store, totals()), projections.New(w.store, moves())
	for i := range 60 {
		w.append(name(i%7), Opened{Owner: "ann"}, Deposited{Cents: int64(i)})
		w.append(name(i%11), Withdrawn{Cents: int64(i % 3)})
	}
	history := w.history()
	first, second := history[40], history[120]
	for _, at := range []es.AsOf{
		es.AtPosition(first.Position), es.AtPosition(second.Position), es.AtPosition(history[len(history)-1].Position),
		es.AtTime(first.RecordedAt), es.AtTime(second.RecordedAt),
		es.AtTime(history[0].RecordedAt.Add(-time.Microsecond)), es.AtPosition(0), {},
	} {
		want := prefix(history, at)
		same(t, w.foldBalances(want), asOf(w, b, at, "balances", byAccount))
		same(t, w.foldTotals(want), asOf(w, m, at, "totals", byBucket))
		same(t, w.foldMoves(want), asOf(w, s, at, "moves", byMover))
	}
	if n := w.number(`select count(*) from pg_namespace where nspname ~ '^(balances|totals|moves)'`); n != 0 {
		t.Fatalf("%d schemas are left", n)
	}
	w.append("a-1", Deposited{Cents: 1}) // what comes later changes no past
	same(t, w.foldTotals(prefix(history, es.AtTime(second.RecordedAt))), asOf(w, m, es.AtTime(second.RecordedAt), "totals", byBucket))
}

func TestAsOf_shows_the_past_beside_the_live_tables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	then := w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 7}))
	err := p.AsOf(t.Context(), es.AtPosition(then), func(ctx context.Context, tx pgx.Tx) error {
		var past, now int64
		err := tx.QueryRow(ctx, `select p.cents, n.cents from balances p join balances.balances n using (account)`).Scan(&past, &now)
		if past != 5 || now != 12 {
			t.Errorf("then %d, now %d", past, now)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("the reader's own")
	if err := p.AsOf(t.Context(), es.AtPosition(then), func(context.Context, pgx.Tx) error { return failure }); !errors.Is(err, failure) {
		t.Fatal(err)
	}
}

func TestAsOf_refuses_what_is_not_final(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, totals())
	last := w.append("a-1", Opened{Owner: "ann"})
	never := func(context.Context, pgx.Tx) error { t.Error("it was read"); return nil }
	for _, at := range []es.AsOf{es.AtPosition(last + 1), es.AtTime(time.Now().Add(time.Hour))} {
		if err := p.AsOf(t.Context(), at, never); !errors.Is(err, es.ErrNotSettled) {
			t.Errorf("as of %s: %v", at, err)
		}
	}
	if err := p.AsOf(t.Context(), es.AtVersion(1), never); !errors.Is(err, es.ErrInvalid) {
		t.Error(err)
	}
}

func TestAsOf_waits_for_an_append_under_way(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, totals())
	w.append("a-1", Opened{Owner: "ann"})
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	data, err := w.codec.Encode(t.Context(), es.StreamID{}, Deposited{Cents: 9})
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := w.store.InTx(tx).Append(t.Context(), account("a-2"), es.NoStream, data)
	if err != nil {
		t.Fatal(err)
	}
	after := w.append("a-1", Deposited{Cents: 1}) // later in the log, committed first
	at := es.AtTime(recorded[0].RecordedAt)
	result := make(chan map[string]Total, 1)
	go func() {
		var rows map[string]Total
		err := p.AsOf(t.Context(), at, func(_ context.Context, tx pgx.Tx) error {
			rows = readTable(t, tx, "totals", byBucket)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		result <- rows
	}()
	until(t, "the read waits for the append", func() bool {
		return w.number(`select count(*) from pg_stat_activity where datname = current_database() and query like '%virtualtransaction%'`) > 0
	})
	select {
	case rows := <-result:
		t.Fatalf("it did not wait: %v", rows)
	default:
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, w.foldTotals(prefix(w.history(), at)), <-result)
	if got := asOf(w, p, es.AtPosition(after), "totals", byBucket)["all"].Events; got != 3 {
		t.Fatalf("%d events", got)
	}
}
