package projections_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// running runs a projector until the test ends, and returns a wait for a position.
func (w *world) running(p *projections.Projector) (waitFor func(es.Position)) {
	w.Helper()
	ctx, stop := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	w.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	return func(at es.Position) {
		w.Helper()
		short, cancel := context.WithTimeout(w.Context(), 20*time.Second)
		defer cancel()
		if err := p.WaitFor(short, at); err != nil {
			w.Fatal(err)
		}
	}
}

// Rows that a projector has in memory and that an operator changes are read again.
func TestRows_that_were_changed_by_hand_are_read_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	applied := w.running(projections.New(w.store, balances()))
	for _, id := range []string{"changed", "deleted", "same"} {
		applied(w.append(id, Opened{"ann"}, Deposited{99}))
		applied(w.append(id, Deposited{1}))
	}
	w.exec(`update balances.balances set cents = 5000 where account = 'changed'`)
	w.exec(`delete from balances.balances where account = 'deleted'`)
	w.exec(`insert into balances.balances values ('new', 'bob', 70, now())`)
	for _, id := range []string{"changed", "deleted", "new", "same"} {
		applied(w.append(id, Deposited{1}))
	}
	applied(w.append("changed", Deposited{1}))
	got := map[string]int64{}
	for id, b := range tableOf(w, "balances.balances", byAccount) {
		got[id] = b.Cents
	}
	same(w, map[string]int64{"changed": 5002, "deleted": 1, "new": 71, "same": 101}, got)
}

// A row that is removed and comes again is a new one, whatever the batches: columns that the
// row type does not have get their defaults.
func TestRow_that_comes_again_is_new(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := balances()
	def.Table = `create sequence made; create table balances (account text primary key, owner text not null, cents bigint not null, updated_at timestamptz not null, made bigint not null default nextval('made'))`
	def.Delete = func(b *Balance) bool { return b.Cents == 0 && b.Owner == "" }
	p := projections.New(w.store, def, projections.WithBatch(10))
	applied := w.running(p)
	applied(w.append("a", Opened{"ann"}))
	first := w.number(`select made from balances.balances`)
	applied(w.append("a", Opened{""}, Opened{"bob"}))
	if w.number(`select made from balances.balances`) == first {
		t.Error("the row that came again is the old one")
	}
}

// What a trigger makes of a row is what the next event is applied to.
func TestRows_that_a_trigger_changes_are_read_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := balances()
	def.Table += `; create function rounded() returns trigger language plpgsql as $$ begin new.cents := new.cents / 10 * 10; return new; end $$;
		create trigger rounded before insert or update on balances for each row execute function rounded()`
	applied := w.running(projections.New(w.store, def))
	for range 3 {
		applied(w.append("a", Deposited{19}))
	}
	if got := w.number(`select cents from balances.balances`); got != 30 { // of 10 + 19 and 20 + 19; 57 would be 50
		t.Errorf("%d cents, want 30", got)
	}
}

// Apply runs while nobody is kept waiting by it: no lock of the build is held.
func TestApply_runs_outside_of_transactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := balances()
	apply := def.Apply
	def.Apply = nil
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		apply(b, e, r)
		return pgx.BeginFunc(w.Context(), w.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(w.Context(), `select from asof.builds for update nowait`)
			return err
		})
	}
	w.append("a", Opened{"ann"}, Deposited{1})
	p := projections.New(w.store, def)
	if err := p.Rebuild(w.Context()); err != nil {
		t.Fatal(err)
	}
	w.running(p)(w.append("a", Deposited{1}))
	w.wantBalances("balances.balances")
}

// A projector that runs again goes on where its database is, which may have been put back
// meanwhile, and not where its memory is.
func TestProjector_that_runs_again_begins_where_its_database_is(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	run := func(at es.Position) {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		err := p.WaitFor(ctx, at)
		stop()
		if ran := <-ended; err != nil || ran != nil {
			t.Fatalf("%v, Run: %v", err, ran)
		}
	}
	run(w.append("a", Opened{"ann"}))
	run(w.append("a", Deposited{1}))
	w.exec(`create table lanes_before as table asof.lanes; create table rows_before as table balances.balances; create table sums_before as table asof.sums`)
	last := w.append("a", Deposited{2}, Deposited{4})
	run(last)
	w.exec(`begin; delete from asof.lanes; delete from asof.sums; delete from balances.balances;
		insert into asof.lanes table lanes_before; insert into asof.sums table sums_before; insert into balances.balances table rows_before; commit`)
	run(last)
	w.wantBalances("balances.balances")
}

// Events that are gone from the log when they are to be written, as when the database is put
// back in between, are not applied.
func TestEvents_that_are_lost_before_they_are_written_are_not_applied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := balances()
	apply, lost := def.Apply, false
	def.Apply = nil
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		apply(b, e, r)
		if e == (Deposited{5}) && !lost {
			lost = true
			w.exec(`begin; set local session_replication_role = replica; delete from asof.events where event_id = '` + r.ID.String() + `'; commit`)
		}
		return nil
	}
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a", Opened{"ann"}, Deposited{5})
	applied := w.running(p)
	applied(1)
	applied(w.append("a", Deposited{7}))
	newWorldOn(t, pgstore.New(w.pool)).wantBalances("balances.balances")
}

// Two programs that follow at once apply each event once, from memory too.
func TestPrograms_that_follow_at_once_notice_each_other(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := projections.New(w.store, totals()).Rebuild(w.Context()); err != nil {
		t.Fatal(err)
	}
	var waits []func(es.Position)
	for range 3 {
		waits = append(waits, w.running(projections.New(w.store, totals(), projections.WithBatch(3), projections.WithPoll(time.Millisecond))))
	}
	var last es.Position
	for n := range 200 {
		last = w.append(name(n%4), Deposited{int64(n)}, Withdrawn{1})
	}
	for _, wait := range waits {
		wait(last)
	}
	w.wantTotals("totals.totals")
}

// indexesOf lists the indexes and constraints of a schema's tables.
func (w *world) indexesOf(schema string) []string {
	w.Helper()
	rows, err := w.pool.Query(w.Context(), `
		select pg_get_indexdef(indexrelid) || ' ' || indisprimary || indisclustered || indisreplident || coalesce(' -- ' || obj_description(indexrelid, 'pg_class'), '') from pg_index join pg_class c on c.oid = indrelid where c.relnamespace = $1::regnamespace
		union all
		select conname || ' ' || pg_get_constraintdef(oid) || coalesce(' -- ' || obj_description(oid, 'pg_constraint'), '') from pg_constraint where connamespace = $1::regnamespace
		union all
		select relname || ' ' || attname || ' ' || attstattarget from pg_attribute join pg_class c on c.oid = attrelid where relnamespace = $1::regnamespace and relkind = 'i' and attstattarget >= 0`, schema)
	if err != nil {
		w.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// A rebuild of many rows, which takes indexes away for the time of its copy, leaves those
// that the DDL has made.
func TestIndexes_are_those_of_the_DDL_after_a_rebuild_of_many_rows(t *testing.T) {
	t.Parallel()
	table := `create table totals (bucket text constraint "the Key" primary key, events bigint not null check (events > 0), cents bigint not null`
	for what, ddl := range map[string]string{
		"plain":      table + `)`,
		"many":       table + `, constraint c unique (bucket, cents) include (events) with (fillfactor = 70), unique nulls not distinct (events, bucket) deferrable initially deferred); create index "by Cents" on totals (cents desc, (lower(bucket)) text_pattern_ops) where cents > 0; create index on totals using hash (cents)`,
		"exclusion":  table + `, exclude using btree (bucket with =))`,
		"comment":    table + `); create index i on totals (cents); comment on index i is 'by cents'; comment on constraint "the Key" on totals is 'the key'`,
		"view":       `create table totals (bucket text primary key, events bigint not null, cents bigint not null); create view v as select bucket, cents from totals group by bucket`,
		"identity":   `create table totals (bucket text not null, events bigint not null, cents bigint not null, primary key (bucket)); alter table totals replica identity using index totals_pkey`,
		"clustered":  table + `); create index i on totals (cents); alter table totals cluster on i`,
		"statistics": table + `); create index i on totals ((cents + 1)); alter index i alter column 1 set statistics 500`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := totals()
			def.Table = ddl
			def.Keys = func(_ Event, r es.Recorded) []string {
				keys := make([]string, 300)
				for i := range keys {
					keys[i] = fmt.Sprintf("%s-%d-%d", r.Stream.ID, r.Version, i)
				}
				return keys
			}
			p := projections.New(w.store, def)
			if err := p.Rebuild(w.Context()); err != nil { // of an empty log
				t.Fatal(err)
			}
			want := w.indexesOf("totals")
			for n := range 40 {
				w.append(name(n), Deposited{int64(n)})
			}
			if err := p.Rebuild(w.Context()); err != nil {
				t.Fatal(err)
			}
			if got := w.indexesOf("totals"); !slices.Equal(want, got) {
				t.Errorf("got %q, want %q", got, want)
			}
			if n := w.number(`select count(*) from totals.totals`); n != 40*300 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// Texts of one key that only the database can compare are one row, though they come in
// different pages of one build.
func TestKeys_that_only_the_database_can_compare_are_one_row_over_pages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := totals()
	def.Table = foldedCollation + `create table totals (bucket text collate folded primary key, events bigint not null, cents bigint not null)`
	def.Keys = nil
	def.Key = func(e Event, _ es.Recorded) string {
		if e == (Deposited{1}) {
			return "one"
		}
		return "ONE"
	}
	for n := range 6 { // a page is 5,000 events
		events := make([]Event, 900)
		for i := range events {
			events[i] = Deposited{int64(min(n*len(events)+i, 2)) - 1}
		}
		events[0] = Deposited{int64(n % 2)}
		w.append("a", events...)
	}
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows, events := w.number(`select count(*) from totals.totals`), w.number(`select sum(events) from totals.totals`); rows != 1 || events != 5400 {
		t.Errorf("%d rows of %d events, want one of 5,400", rows, events)
	}
	err := p.AsOf(t.Context(), es.AtPosition(5400), func(ctx context.Context, tx pgx.Tx) error {
		var rows int64
		err := tx.QueryRow(ctx, `select count(*) from totals`).Scan(&rows)
		if err == nil && rows != 1 {
			err = fmt.Errorf("%d rows as of the end", rows)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
