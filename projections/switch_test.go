package projections_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections"
)

func TestSwitch_keeps_privileges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.store, balances())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := "reader_" + time.Now().UTC().Format("150405000000")
	w.exec(`create role ` + role)
	t.Cleanup(func() {
		_, err := w.pool.Exec(context.Background(), `drop owned by `+role+`; drop role `+role)
		if err != nil {
			t.Error(err)
		}
	})
	w.exec(`grant usage on schema balances to ` + role)
	w.exec(`grant select (account, cents) on balances.balances to ` + role)
	w.exec(`grant insert on balances.balances to public`)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.exec(`set role ` + role + `; select account, cents from balances.balances; reset role`)
	if n := w.number(`select count(*) from pg_class c, aclexplode(relacl) a where c.oid = 'balances.balances'::regclass and a.grantee = 0 and privilege_type = 'INSERT'`); n != 1 {
		t.Fatal("the privilege of public is gone")
	}
}

func TestSwitch_refuses_while_a_view_depends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.store, balances())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.exec(`create schema reports; create view reports.rich as select account from balances.balances where cents > 100`)
	err := p.Rebuild(t.Context())
	if !errors.Is(err, projections.ErrDependents) || !contains(err, "view reports.rich") {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from asof.builds`); n != 1 {
		t.Fatalf("%d builds, want nothing begun", n)
	}
	w.exec(`drop view reports.rich`)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRebuild_leaves_a_schema_alone_that_is_not_its_own(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`create schema balances`)
	err := projections.New(w.store, balances()).Rebuild(t.Context())
	if !errors.Is(err, projections.ErrInvalid) || !contains(err, "no projection") {
		t.Fatal(err)
	}
}

// Tables that cannot be compared in time would keep the switch from ever coming about,
// and the live build waiting.
func TestSwitch_does_not_wait_for_a_comparison_that_takes_too_long(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.otherPool(tooSlow{at: "*<>"}), balances())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	var last projections.Progress
	err := p.Rebuild(within(t, 20*time.Second), projections.WithPatience(300*time.Millisecond), projections.WithProgress(func(p projections.Progress) { last = p }))
	if err != nil || last.Phase != "live" || last.Compared {
		t.Fatalf("%v, %+v", err, last)
	}
	w.wantBalances("balances.balances")
}

// tooSlow holds a statement up until its context has ended.
type tooSlow struct{ at string }

func (s tooSlow) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, s.at) {
		<-ctx.Done()
	}
	return ctx
}

func (tooSlow) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// between calls a function between two statements of a connection.
type between struct {
	after string
	do    func()
}

func (b *between) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, b, data.SQL)
}

func (b *between) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if sql, ok := ctx.Value(b).(string); ok && b.do != nil && strings.Contains(sql, b.after) {
		do := b.do
		b.do = nil
		do()
	}
}

// The schema of a read model that another process has just made is no foreign one.
func TestRebuild_meets_one_that_has_just_switched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	second := projections.New(w.store, totals())
	tracer := &between{after: "where name = $1 and status = 'live'", do: func() {
		if err := second.Rebuild(t.Context()); err != nil {
			t.Error(err)
		}
	}}
	first := projections.New(w.otherPool(tracer), totals()) // it has looked for a live build, and found none
	if err := first.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
}

// A rebuild and a rollback that begin at once see nothing of each other: the second is told
// that the first is under way.
func TestRollback_beside_a_rebuild_that_has_just_begun_is_busy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a", Opened{"ann"})
	newer := balances()
	newer.Version = 2
	for _, def := range []projections.Fold[Balance, Event]{balances(), newer} {
		if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `insert into asof.builds (name, version, status, schema_name, fingerprint) values ('balances', 2, 'building', 'begun', '')`); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- projections.New(w.store, balances()).Rollback(t.Context()) }()
	until(t, "the rollback is at the index", func() bool {
		return w.number(`select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'transactionid'`) == 1
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, projections.ErrBusy) {
		t.Errorf("%v, want busy", err)
	}
}
