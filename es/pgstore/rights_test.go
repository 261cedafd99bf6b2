package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// asRole is the store for a role of this test's own that may read all tables, and has
// what else is granted: "insert on asof.events".
func asRole(ctx context.Context, t *testing.T, store *pgstore.Store, name string, rights ...string) *pgstore.Store {
	t.Helper()
	c := store.Pool().Config()
	role := name + "_" + c.ConnConfig.Database
	quoted := pgx.Identifier{role[:min(len(role), 60)]}.Sanitize()
	must(t, exec(ctx, store.Pool(), `create role `+quoted+` login password 'x'`, `grant usage on schema asof to `+quoted, `grant select on all tables in schema asof to `+quoted))
	for _, right := range rights {
		must(t, exec(ctx, store.Pool(), `grant `+right+` to `+quoted))
	}
	t.Cleanup(func() {
		if err := exec(context.WithoutCancel(ctx), store.Pool(), `drop owned by `+quoted, `drop role `+quoted); err != nil {
			t.Error(err)
		}
	})
	c.ConnConfig.User, c.ConnConfig.Password = role[:min(len(role), 60)], "x"
	pool, err := pgxpool.NewWithConfig(ctx, c)
	must(t, err)
	t.Cleanup(pool.Close)
	return pgstore.New(pool)
}

// What an append needs, and what is said where a part is missing. Without the right to see
// which moments are final it would work, and record events before one that is.
func TestAppend_needs_its_rights(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	rights := []string{"insert on asof.events", "usage on sequence asof.events_position", "usage on sequence asof.settled_moment", "insert on asof.categories"}
	if _, err := asRole(ctx, t, store, "writer", rights...).Append(ctx, inCategory("writer"), es.Any, someEvents(2)...); err != nil {
		t.Fatalf("with all of them: %v", err)
	}
	for i, missing := range rights {
		var rest []string
		rest = append(append(rest, rights[:i]...), rights[i+1:]...)
		writer := asRole(ctx, t, store, "no"+string(rune('0'+i)), rest...)
		for range 2 {
			_, err := writer.Append(ctx, inCategory("no"+string(rune('0'+i))), es.Any, someEvents(1)...)
			if missing == "usage on sequence asof.settled_moment" {
				if !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), "run: grant usage on sequence asof.settled_moment to ") {
					t.Errorf("without %s: %v", missing, err)
				}
				continue
			}
			if _, known := errors.AsType[*pgconn.PgError](err); !known || !strings.Contains(err.Error(), "lacks a right") {
				t.Errorf("without %s: %v", missing, err)
			}
		}
	}
	if events, err := readAll(ctx, store, 0); err != nil || len(events) != 2 {
		t.Errorf("%d events, %v: want those of the one who may", len(events), err)
	}
}

// A moment is raised by who may read and set it; where it cannot be stored for others, it
// is final all the same.
func TestMoment_is_raised_by_who_may(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	for name, c := range map[string]struct {
		rights        []string
		final, stored bool
	}{
		"none":    {nil, false, false},
		"reads":   {[]string{"usage on sequence asof.settled_moment"}, false, false},
		"sets":    {[]string{"update on sequence asof.settled_moment"}, false, false}, // it would set it back
		"raises":  {[]string{"select, update on sequence asof.settled_moment"}, true, false},
		"both":    {[]string{"usage, update on sequence asof.settled_moment", "update on asof.settled_head"}, true, true},
		"a table": {[]string{"update on asof.settled_head"}, false, false},
	} {
		reader := asRole(ctx, t, store, strings.ReplaceAll(name, " ", "_"), c.rights...)
		for what, settle := range map[string]func(es.RecordedEvent) error{
			"Settle": func(last es.RecordedEvent) error {
				p, err := reader.Settle(ctx, last.RecordedAt)
				if err == nil && p != last.Position {
					t.Errorf("%s: the place of the moment is %d, want %d", name, p, last.Position)
				}
				return err
			},
			"KeepMoments": func(es.RecordedEvent) error { return pgstore.New(reader.Pool()).KeepMoments(ctx) },
		} {
			var before, after int64
			const floor = `select coalesce(pg_sequence_last_value('asof.settled_moment'), 0)`
			must(t, exec(ctx, store.Pool(), `update asof.settled_head set moment = null, moment_position = 0`))
			last := appendEach(ctx, t, store, "1", 1)
			must(t, store.Pool().QueryRow(ctx, floor).Scan(&before))
			err := settle(last)
			switch {
			case what == "KeepMoments" || c.final:
				if err != nil {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			case !errors.Is(err, es.ErrNotSettled):
				t.Errorf("%s, %s: %v", name, what, err)
			}
			must(t, store.Pool().QueryRow(ctx, floor).Scan(&after))
			if raised := after > before; raised != c.final || after < before {
				t.Errorf("%s, %s: the moment went from %d to %d", name, what, before, after)
			}
			var stored bool
			must(t, store.Pool().QueryRow(ctx, `select moment is not null from asof.settled_head`).Scan(&stored))
			if stored != c.stored {
				t.Errorf("%s, %s: stored: %v", name, what, stored)
			}
		}
	}
}

// Who may only read is told the same of the log, and of its holders all but what they do.
func TestStatus_for_who_may_only_read(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 2)
	begun(ctx, t, store, "open")
	appendEach(ctx, t, store, "1", 1)
	want := statusOf(t, store)
	for name, reader := range readers(ctx, t, store) {
		got := statusOf(t, reader)
		if len(got.Holders) != 1 || got.Holders[0].PID != want.Holders[0].PID {
			t.Errorf("%s: the holders are %+v, want %+v", name, got.Holders, want.Holders)
		}
		if got.Head != want.Head || got.Settled != want.Settled || got.Events != 3 || got.Life != want.Life || len(got.Categories) != 1 || got.Elsewhere != "" {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// What the server does not tell a role of its place is not compared: hosted servers may
// tell nothing.
func TestPlace_that_is_not_told_is_no_other_place(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 2)
	place := reached(ctx, t, store)
	must(t, exec(ctx, store.Pool(), `revoke execute on function pg_control_system(), pg_current_wal_insert_lsn() from public`))
	reader := asRole(ctx, t, store, "untold")
	var system *string
	must(t, reader.Pool().QueryRow(ctx, `select system_id from asof.store_place()`).Scan(&system))
	if system != nil {
		t.Fatalf("the role is told that the system is %s", *system)
	}
	must(t, reader.Verify(ctx, place))
	if status := statusOf(t, reader); status.Elsewhere != "" {
		t.Errorf("it is elsewhere: %s", status.Elsewhere)
	}
	must(t, exec(ctx, store.Pool(), `update asof.store_identity set system_id = null, timeline = null`)) // repaired by such a role
	must(t, pgstore.New(store.Pool()).Verify(ctx, place))
	must(t, exec(ctx, store.Pool(), `update asof.store_identity set database_oid = 1`)) // which everybody is told
	wantRestored(t, "another database", pgstore.New(reader.Pool()).Verify(ctx, place), "the database's oid")
	if status := statusOf(t, reader); !strings.Contains(status.Elsewhere, "the database's oid") {
		t.Errorf("it is elsewhere: %q", status.Elsewhere)
	}
}
