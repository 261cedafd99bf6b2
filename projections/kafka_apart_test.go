package projections_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// logged is the world of the log's database.
func (c *cluster) logged() *world {
	return &world{TB: c.TB, pool: c.store.Pool(), store: c.store, codec: c.codec, category: c.category}
}

// The log is put back, and the read model is not: Kafka had brought it an event, behind its
// position, that is lost. It is noticed by that event, also once others stand in its place.
func TestKafka_apart_from_the_log_notices_that_it_was_put_back(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	c := newClusterOn(t, newWorld(t), pgstoretest.Open(t, server.URL()))
	c.append("a-1", Opened{Owner: "ann"})
	p := c.projector(c.totals())
	stop := start(t, p)
	c.untilReading(p)
	c.tell("a-1", Deposited{Cents: 1})
	c.untilRead(p)
	backup := server.Backup()
	lost := c.tell("a-1", Deposited{Cents: 2})
	c.untilRead(p)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if at := c.status(p).Position; at >= lost-1 {
		t.Fatalf("position %d: the test shows nothing", at)
	}
	server.Restore(backup)
	fresh := func() {
		c.store = pgstore.New(server.Pool())
		p = c.projector(c.totals(), projections.WithLogCheck(often))
	}
	refused := func(when string, want error) {
		t.Helper()
		fresh()
		if err := p.Run(within(t, patient)); !errors.Is(err, want) {
			t.Errorf("%s: Run from Kafka: %v", when, err)
		}
		fresh()
		if err := c.new(c.totals()).Run(within(t, patient)); !errors.Is(err, want) {
			t.Errorf("%s: Run from the log: %v", when, err)
		}
	}
	refused("at once", es.ErrRestored)
	if err := p.Rebuild(t.Context()); !errors.Is(err, es.ErrRestored) {
		t.Errorf("Rebuild: %v", err)
	}
	c.append("a-1", Deposited{Cents: 30}, Deposited{Cents: 40})
	refused("with other events in its place", es.ErrRestored)
	if _, err := c.store.Repair(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	refused("after repair", es.ErrAnotherLife)
	fresh()
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	c.wait(p, c.tell("a-1", Deposited{Cents: 5}))
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
}

// While a projector runs, its log loses an event that is applied: the next look tells.
func TestKafka_apart_from_the_log_notices_while_it_runs(t *testing.T) {
	t.Parallel()
	c := newClusterApart(t)
	c.append("a-1", Opened{Owner: "ann"})
	p := c.projector(c.totals(), projections.WithLogCheck(often))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	c.untilReading(p)
	last := c.tell("a-1", Deposited{Cents: 1})
	until(t, "the position moves", func() bool { return c.status(p).Position == last })
	log := c.logged()
	log.exec(`alter table asof.events disable trigger user`)
	log.exec(`delete from asof.events where position = $1`, int64(last))
	select {
	case err := <-ended:
		if !errors.Is(err, es.ErrRestored) {
			t.Error(err)
		}
	case <-within(t, patient).Done():
		t.Error("it goes on")
	}
}

// While a projector runs, its log begins another life, in which versions are given again: no
// event of it is applied, though no look at the log has told yet.
func TestKafka_apart_from_the_log_applies_nothing_of_another_life(t *testing.T) {
	t.Parallel()
	c := newClusterApart(t)
	c.append("a-1", Opened{Owner: "ann"})
	p := c.projector(c.totals())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	c.untilReading(p)
	c.tell("a-1", Deposited{Cents: 1})
	c.untilRead(p)
	c.store = c.logged().otherPool(nil) // as another process has it
	if _, err := c.store.Repair(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	c.tell("a-1", Deposited{Cents: 1000})
	select {
	case err := <-ended:
		if !errors.Is(err, es.ErrAnotherLife) || !contains(err, "rebuild it") {
			t.Error(err)
		}
	case <-within(t, patient).Done():
		t.Error("it goes on")
	}
	if n := c.number(`select cents from totals.totals where bucket = 'all'`); n != 1 {
		t.Errorf("%d cents", n)
	}
}

// What streams have in another life of the log says nothing of a build that an earlier one has
// fed.
func TestKafka_apart_from_the_log_begins_with_no_other_life(t *testing.T) {
	t.Parallel()
	c := newClusterApart(t)
	fromLog := c.new(c.totals())
	stop := start(t, fromLog)
	c.wait(fromLog, c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	c.store = c.logged().otherPool(nil)
	if _, err := c.store.Repair(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.projector(c.totals()).Run(within(t, patient)); !errors.Is(err, es.ErrAnotherLife) {
		t.Error(err)
	}
	if n := c.number(`select count(*) from asof.builds where kind = 'log'`) + 10*c.dedupRows(); n != 1 {
		t.Errorf("%d: the build is of another kind", n)
	}
}

// A role that may do no more in the log's database than read it is enough for all that a
// projector does there.
func TestKafka_apart_from_the_log_needs_to_read_it_alone(t *testing.T) {
	t.Parallel()
	c := newClusterApart(t)
	log := c.logged()
	role := log.newRole("reader")
	log.exec(`grant usage on schema asof to ` + role + `; grant select on all tables in schema asof to ` + role)
	reader := log.storeWith(func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["role"] = role })
	by := func(options ...projections.Option) *projections.Projector {
		options = append([]projections.Option{projections.FromLog(reader)}, options...)
		return projections.New(projections.In(c.pool, "asof"), c.totals(), options...)
	}
	c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
	fromLog := by()
	stop := start(t, fromLog)
	c.wait(fromLog, c.append("a-1", Deposited{Cents: 2}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p := by(projections.FromKafka(c.client, projections.WithLogCheck(often)))
	stop = start(t, p)
	c.untilReading(p)
	c.append("a-2", Opened{Owner: "bob"}) // a gap
	c.tell("a-2", Deposited{Cents: 3})
	last := c.append("a-1", Deposited{Cents: 4}) // and one that Kafka loses
	c.wait(p, last)
	token, err := reader.Token(t.Context(), c.history()[last-1].Recorded)
	if err == nil {
		err = p.WaitForToken(within(t, patient), token)
	}
	if err != nil {
		t.Error(err)
	}
	c.wantTotals("totals.totals")
	if s := c.status(p); s.Lag != 0 || !readsKafka(s.Source) {
		t.Errorf("%+v", s)
	}
	c.wantVerified(p, "1: ")
	c.rebuildEqual(p)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	then := prefix(c.history(), es.AtPosition(2))
	err = p.AsOf(t.Context(), es.AtPosition(2), func(_ context.Context, tx pgx.Tx) error {
		same(t, c.foldTotals(then), readTable(t, tx, "totals", byBucket))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	c.append("a-3", Opened{Owner: "cid"})
	if s := c.status(p); s.Lag != 1 || s.Behind <= 0 {
		t.Errorf("%+v: want a lag of 1", s)
	}
	stop = start(t, fromLog) // back
	c.wait(fromLog, c.append("a-1", Deposited{Cents: 5}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	c.wantTotals("totals.totals")
	c.wantApplied("totals")
}
