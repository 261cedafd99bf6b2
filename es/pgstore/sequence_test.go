package pgstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// A sequence that was set back, or never set, under a program that runs and under one
// that starts: nothing is appended at a position that is or was in the log.
func TestSequence_behind_the_log_is_refused_by_every_append(t *testing.T) {
	t.Parallel()
	for name, setBack := range map[string]string{
		"set back":       `select setval('asof.events_position', 5)`,
		"to a hole":      `select setval('asof.events_position', 10)`, // positions 11 and 12 were rolled back
		"made anew":      `alter sequence asof.events_position restart`,
		"never called":   `select setval('asof.events_position', 1, false)`,
		"dropped, anew":  `alter table asof.events alter position drop default; drop sequence asof.events_position; create sequence asof.events_position as bigint cache 1`,
		"below the last": `select setval('asof.events_position', 12)`,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			store := open(t)
			ctx := within(t, time.Minute)
			appendEach(ctx, t, store, "1", 10)
			tx, err := store.Pool().Begin(ctx)
			must(t, err)
			_, err = store.InTx(tx).Append(ctx, stream("rolled back"), es.NoStream, someEvents(2)...)
			must(t, err)
			must(t, tx.Rollback(ctx))
			last := appendEach(ctx, t, store, "1", 5)
			place := reached(ctx, t, store)
			must(t, exec(ctx, store.Pool(), strings.Split(setBack, "; ")...))

			for _, s := range []*pgstore.Store{store, pgstore.New(store.Pool())} {
				for _, want := range []es.Expected{es.Any, es.StreamExists, es.Exactly(last.Version)} {
					for _, n := range []int{1, 3} {
						must(t, exec(ctx, store.Pool(), strings.Split(setBack, "; ")...))
						_, err := s.Append(ctx, stream("1"), want, someEvents(n)...)
						wantRestored(t, fmt.Sprintf("%d events, %s", n, want), err, "asof repair", "events_position")
						err = pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
							must(t, exec(ctx, store.Pool(), strings.Split(setBack, "; ")...))
							_, err := s.InTx(tx).Append(ctx, stream("1"), want, someEvents(n)...)
							return err
						})
						wantRestored(t, fmt.Sprintf("%d events, %s, in a transaction", n, want), err, "asof repair")
					}
				}
				must(t, exec(ctx, store.Pool(), strings.Split(setBack, "; ")...))
				_, err = s.ReadAfter(ctx, place, 10)
				wantRestored(t, "a reader", err, "asof repair")
			}
			repaired, err := store.Repair(ctx, false, nil)
			must(t, err)
			if repaired.Sequence >= repaired.Head || repaired.Head != last.Position {
				t.Errorf("repaired: %+v", repaired)
			}
			if next := appendEach(ctx, t, store, "1", 1); next.Position <= last.Position || next.Version != last.Version+1 {
				t.Errorf("after the repair: version %d at %d, before %d at %d", next.Version, next.Position, last.Version, last.Position)
			}
			if events, err := pgstore.New(store.Pool()).ReadAfter(ctx, place, 10); err != nil || len(events) != 1 {
				t.Errorf("after the repair: %v, %v", events, err)
			}
		})
	}
}

// A subscription that writes into the log does so past the lock that readers rely on,
// and in the order of commits: nothing is appended or read beside it.
func TestSubscription_into_the_log_is_refused(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	old := embeddedtest.Server(t)
	source := pgstoretest.Open(t, old.URL())
	appendEach(ctx, t, source, "1", 10)
	must(t, exec(ctx, source.Pool(), `create publication p for table asof.events`))
	target := pgstoretest.Open(t, embeddedtest.Server(t).URL())
	empty := pgstore.New(target.Pool())
	if events, err := empty.Read(ctx, 0, 10); err != nil || len(events) != 0 { // it has looked before the subscription came
		t.Fatalf("%v, %v", events, err)
	}
	must(t, exec(ctx, target.Pool(), `create subscription s connection '`+old.URL()+`' publication p`))
	waitFor(t, target, `select count(*) = 10 from asof.events`)
	for name, s := range map[string]*pgstore.Store{"a program that runs": empty, "a new one": pgstore.New(target.Pool())} {
		_, err := s.Append(ctx, stream("1"), es.Any, someEvents(1)...)
		wantRestored(t, name+", Append", err, "subscription")
		_, err = s.Read(ctx, 0, 10)
		wantRestored(t, name+", Read", err, "subscription")
		_, err = s.Settle(ctx, time.Time{})
		wantRestored(t, name+", Settle", err, "subscription")
	}
	if _, err := target.Repair(ctx, false, nil); !errors.Is(err, es.ErrRestored) || !strings.Contains(err.Error(), "drop subscription") {
		t.Errorf("repair with the subscription: %v", err)
	}
	must(t, exec(ctx, target.Pool(), `drop subscription s`))
	_, err := pgstore.New(target.Pool()).Append(ctx, stream("1"), es.Any, someEvents(1)...)
	wantRestored(t, "an append before the repair", err, "asof repair")
	_, err = target.Repair(ctx, false, nil)
	must(t, err)
	if last := appendEach(ctx, t, empty, "1", 1); last.Version != 11 || last.Position < 11 {
		t.Errorf("after the repair: version %d at %d", last.Version, last.Position)
	}
	if events, err := readAll(ctx, empty, 0); err != nil || len(events) != 11 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// A sequence at the reader's place is right, and one position behind it is not.
func TestSequence_one_position_behind_a_reader_is_refused(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 5)
	place := reached(ctx, t, store)
	must(t, store.Verify(ctx, place))
	must(t, exec(ctx, store.Pool(), `select setval('asof.events_position', 4)`))
	wantRestored(t, "a checkpoint", store.Verify(ctx, place), "events_position is at 4")
	_, err := store.Read(ctx, place.Position, 10)
	wantRestored(t, "a position alone", err, "events_position is at 4")
}
