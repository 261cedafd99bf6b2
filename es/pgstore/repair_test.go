package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// A repair makes good what a restore of rows alone leaves behind: the sequences, what is
// settled, the categories and the row of the store's identity.
func TestRepair_makes_good_all_that_hangs_on_the_log(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	_, err := store.Append(ctx, inCategory("one.two"), es.NoStream, someEvents(2)...)
	must(t, err)
	last := appendEach(ctx, t, store, "1", 3)
	_, err = store.Settle(ctx, last.RecordedAt)
	must(t, err)
	var moment int64
	must(t, store.Pool().QueryRow(ctx, `select (extract(epoch from moment) * 1000000)::bigint from asof.settled_head`).Scan(&moment))
	life, err := store.Life(ctx)
	must(t, err)
	must(t, exec(ctx, store.Pool(),
		`update asof.settled_head set position = 1000, moment_position = 1000`,
		`select setval('asof.events_position', 2), setval('asof.settled_moment', 0)`,
		`truncate asof.categories`))

	var within pgstore.Repaired
	repaired, err := store.Repair(ctx, false, func(ctx context.Context, tx pgx.Tx, r pgstore.Repaired) error {
		within = r
		_, err := tx.Exec(ctx, `create table public.made (n int)`)
		return err
	})
	must(t, err)
	if want := (pgstore.Repaired{Life: life, Head: last.Position, Sequence: 2}); repaired != want || within != want {
		t.Errorf("repaired are %+v, within the transaction %+v, want %+v", repaired, within, want)
	}
	must(t, exec(ctx, store.Pool(), `drop table public.made`)) // committed with it
	var position, at, drawn, floor int64
	var categories []string
	must(t, store.Pool().QueryRow(ctx, `
		select position, moment_position, pg_sequence_last_value('asof.events_position'), pg_sequence_last_value('asof.settled_moment'),
		       array(select topic || ' ' || category from asof.categories order by 1)
		from asof.settled_head`).Scan(&position, &at, &drawn, &floor, &categories))
	if head := int64(last.Position); position != head || at != head || drawn != head {
		t.Errorf("stored as settled are %d and %d, the sequence is at %d, and the log ends at %d", position, at, drawn, head)
	}
	if floor != moment {
		t.Errorf("appends mind the moment %d, and %d is final", floor, moment)
	}
	if got := strings.Join(categories, ", "); got != "one_two one.two, test test" {
		t.Errorf("the categories are %s", got)
	}

	must(t, exec(ctx, store.Pool(), `delete from asof.store_identity`, `delete from asof.settled_head`))
	repaired, err = store.Repair(ctx, false, nil)
	must(t, err)
	if repaired.Life == life || repaired.Life == uuid.Nil {
		t.Errorf("without the row of its identity the store lives on as %s", repaired.Life)
	}
	if events, err := readAll(ctx, pgstore.New(store.Pool()), 0); err != nil || len(events) != 5 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if next := appendEach(ctx, t, store, "1", 1); next.Position != last.Position+1 {
		t.Errorf("the next position is %d", next.Position)
	}
}

// A sequence that is ahead of the log stays there: what it gave may have been read.
func TestRepair_sets_no_sequence_back(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 2)
	must(t, exec(ctx, store.Pool(), `select setval('asof.events_position', 50), setval('asof.settled_moment', 4000000000000000)`))
	repaired, err := store.Repair(ctx, true, nil)
	must(t, err)
	if repaired.Head != 2 || repaired.Sequence != 50 {
		t.Errorf("repaired: %+v", repaired)
	}
	var drawn, floor int64
	must(t, store.Pool().QueryRow(ctx, `select pg_sequence_last_value('asof.events_position'), pg_sequence_last_value('asof.settled_moment')`).Scan(&drawn, &floor))
	if drawn != 50 || floor != 4000000000000000 {
		t.Errorf("the sequences are at %d and %d", drawn, floor)
	}
}

// A moment that is raised while a repair looks is not set back by it.
func TestRepair_waits_for_a_moment_that_is_being_raised(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 1)
	tx, err := store.Pool().Begin(ctx)
	must(t, err)
	defer tx.Rollback(context.WithoutCancel(ctx))
	const asog = 0x61736f67
	_, err = tx.Exec(ctx, fmt.Sprintf(`select pg_advisory_xact_lock((%d::bigint << 32) | 'asof.events'::regclass::oid::bigint)`, asog))
	must(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := store.Repair(ctx, false, nil)
		done <- err
	}()
	waitFor(t, store, `select exists (select from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and not granted and database = (select oid from pg_database where datname = current_database()))`)
	_, err = tx.Exec(ctx, `select setval('asof.settled_moment', 4000000000000000)`)
	must(t, err)
	must(t, tx.Commit(ctx))
	must(t, <-done)
	var floor int64
	must(t, store.Pool().QueryRow(ctx, `select pg_sequence_last_value('asof.settled_moment')`).Scan(&floor))
	if floor != 4000000000000000 {
		t.Errorf("the moment is set back to %d", floor)
	}
}

// Who may only read repairs nothing.
func TestRepair_needs_more_than_the_right_to_read(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 2)
	place := reached(ctx, t, store)
	for name, reader := range readers(ctx, t, store) {
		_, err := reader.Repair(ctx, true, nil)
		if _, known := errors.AsType[*pgconn.PgError](err); !known || !strings.HasPrefix(err.Error(), "pgstore: repair: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, pgstore.New(store.Pool()).Verify(ctx, place)) // still in its life
}

// The program that has repaired the store is in the new life at once.
func TestRepair_begins_the_life_that_it_names(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 2)
	place := reached(ctx, t, store)
	repaired, err := store.Repair(ctx, true, nil)
	must(t, err)
	life, err := store.Life(ctx)
	must(t, err)
	if life != repaired.Life || life == place.Life {
		t.Errorf("it lives life %s, before %s, and repair says %s", life, place.Life, repaired.Life)
	}
}
