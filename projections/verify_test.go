package projections_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// verified is what Verify says of each build, in lines.
func verified(t testing.TB, list []projections.Verification, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, v := range list {
		lines = append(lines, fmt.Sprintf("%d: %s", v.Build.ID, strings.Join(v.Differences(), "; ")))
	}
	return strings.Join(lines, "\n")
}

func (w *world) wantVerified(p *projections.Projector, want ...string) {
	w.Helper()
	list, err := p.Verify(w.Context())
	if got := verified(w, list, err); got != strings.Join(want, "\n") {
		w.Errorf("Verify says\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// note appends an event of another category.
func (w *world) note(id string) es.Position {
	w.Helper()
	return w.appendData(es.StreamID{Category: "note", ID: id}, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)})
}

func TestVerify_names_what_differs_and_by_how_much(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	w.append("a-2", Opened{Owner: "bob"}, Deposited{Cents: 5})
	w.note("n-1")
	p := w.rebuilt(2)
	w.append("a-3", Opened{Owner: "cid"}) // beyond the position: no difference
	w.wantVerified(p, "2: ", "1: ")
	list, err := p.Verify(t.Context())
	if err != nil || list[0].Partly || fmt.Sprint(list[0].Categories) != "[{account 4 4 true} {note 1 1 true}]" || list[0].Build.Position != 5 || list[0].Build.State != projections.BuildLive {
		t.Errorf("%+v, %v", list, err)
	}

	w.exec(`update asof.sums set events = events - 3 where category = 'account' and build = 1`)
	w.exec(`update asof.sums set hash = hash # 1 where category = 'account' and build = 2`)
	w.wantVerified(p,
		"2: account: 4 events were applied, as many as the log has, but not the same ones",
		"1: account: 1 events were applied and the log has 4: at least 3 of the log were not applied")
	w.exec(`update asof.sums set events = events + 3 where category = 'account' and build = 2`)
	w.exec(`delete from asof.sums where category = 'note' and build = 2`)
	w.exec(`delete from asof.sums where build = 1`)
	w.wantVerified(p,
		"2: account: 7 events were applied and the log has 4: at least 3 that were applied are not in the log; "+
			"note: 0 events were applied and the log has 1: at least 1 of the log were not applied",
		"1: account: 0 events were applied and the log has 4: at least 4 of the log were not applied; "+
			"note: 0 events were applied and the log has 1: at least 1 of the log were not applied")

	if _, err := projections.New(w.store, totals()).Verify(t.Context()); !errors.Is(err, projections.ErrNotBuilt) {
		t.Errorf("of none: %v", err)
	}
}

// What was taken out of the log after it was applied is named.
func TestVerify_names_an_event_that_the_log_has_lost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5}, Deposited{Cents: 6})
	p := w.rebuilt(1)
	w.exec(`alter table asof.events disable trigger user`)
	w.exec(`delete from asof.events where position = 2`)
	w.wantVerified(p, "1: account: 3 events were applied and the log has 2: at least 1 that were applied are not in the log")
}

// Events of categories that the projection is not for are no difference; without its
// definition, categories that it should have and has not are not known.
func TestVerify_knows_the_categories_by_the_definition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	w.note("n-1")
	w.note("n-2")
	def := balances()
	def.Categories = []string{"account", "note"}
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "other", ID: "o"}, es.Any, es.EventData{ID: es.NewID(), Type: "o.o", Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 5}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.wantVerified(p, "1: ")
	w.exec(`delete from asof.sums where category = 'note'`)
	w.wantVerified(p, "1: note: 0 events were applied and the log has 2: at least 2 of the log were not applied")

	gone := func() (list []projections.Verification) {
		list, err := projections.Verify(t.Context(), w.store, w.store, "balances")
		if err != nil || len(list) != 1 || !list[0].Partly {
			t.Fatalf("%+v, %v", list, err)
		}
		return list
	}
	if got := verified(t, gone(), nil); got != "1: " {
		t.Error(got)
	}
	other := balances() // all categories: it did not make the build
	if list, err := projections.New(w.store, other).Verify(t.Context()); err != nil || !list[0].Partly || len(list[0].Categories) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	w.exec(`update asof.sums set events = 1`)
	if got := verified(t, gone(), nil); !strings.HasPrefix(got, "1: account: 1 events were applied and the log has 3") {
		t.Error(got)
	}
	w.exec(`delete from asof.sums`)
	if list := gone(); len(list[0].Categories) != 0 {
		t.Errorf("%+v", list)
	}
}

// Verify runs in sessions that can only read, and beside whoever writes.
func TestVerify_changes_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	w.rebuilt(2)
	w.exec(`update asof.sums set events = 7 where build = 2`)
	letGo := w.held(`select from asof.builds for update`)
	list, err := projections.New(w.readOnly(), balances()).Verify(t.Context())
	letGo()
	if got := verified(t, list, err); !strings.HasPrefix(got, "2: account: 7 events") || !strings.HasSuffix(got, "\n1: ") {
		t.Error(got)
	}
}

// The position and the sums that are compared are of one moment, whatever is applied
// between two statements.
func TestVerify_beside_a_projector_finds_no_difference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	start(t, p)
	w.wait(p, w.append("a-1", Opened{Owner: "ann"}))
	for _, at := range []string{"bit_xor(hash)", "bit_xor(uuid_hash_extended"} {
		more := &meanwhile{at: at, do: func() { w.wait(p, w.append("a-1", Deposited{Cents: 5})) }}
		w.wantVerified(projections.New(w.otherPool(more), balances()), "1: ")
	}
}

func TestVerify_of_a_read_model_in_another_database(t *testing.T) {
	t.Parallel()
	a := newApart(t, pgstoretest.New(t))
	a.source.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := a.projector(totals())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.append("a-2", Opened{Owner: "its own log is another"})
	a.wantVerified(p, "1: ")
	list, err := projections.Verify(t.Context(), a.target, a.source.store, "totals")
	if got := verified(t, list, err); got != "1: " {
		t.Error(got)
	}
	a.exec(`update asof.sums set hash = 0`)
	a.wantVerified(p, "1: account: 2 events were applied, as many as the log has, but not the same ones")
	if _, err := projections.Verify(t.Context(), a.target, nil, "totals"); !errors.Is(err, projections.ErrInvalid) {
		t.Errorf("without a log: %v", err)
	}
}

// What Kafka has brought beyond the position counts, and what it has not brought yet is no
// difference; but what is missing before the position is.
func TestVerify_of_a_build_that_Kafka_feeds(t *testing.T) {
	besideAndApart(t, func(t *testing.T, c *cluster) {
		c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1})
		c.note("n-1")
		p := c.projector(c.totals())
		stop := start(t, p)
		c.untilReading(p)
		missing := c.append("a-2", Opened{Owner: "bob"}) // Kafka does not bring it
		last := c.append("a-3", Opened{Owner: "cid"})
		c.publish(c.history()[last-1])
		reached := func(position es.Position) {
			t.Helper()
			until(t, "the message", func() bool { return c.number(`select max(position) from asof.offsets`) >= int64(position) })
		}
		reached(last)
		if position := c.status(p).Position; position >= missing {
			t.Fatalf("the position is %d already", position)
		}
		if s := c.status(p); s.Lag != 1 || s.Behind <= 0 {
			t.Errorf("%+v: one event lacks, before the last", s)
		}
		if err := p.WaitFor(within(t, 300*time.Millisecond), last); err == nil {
			t.Error("it has waited for the last, and one before lacks")
		}
		c.wantVerified(p, "1: ")
		list, err := p.Verify(t.Context())
		if err != nil || list[0].Build.Kind != "kafka" || list[0].Categories[0].Applied != 3 {
			t.Errorf("%+v, %v", list, err)
		}
		other := c.newOn(c.otherPool(&meanwhile{at: "bit_xor(hash)", do: func() {
			more := c.append("a-3", Deposited{Cents: 4})
			c.publish(c.history()[more-1])
			reached(more)
		}}), c.totals())
		c.wantVerified(other, "1: ")
		if !c.apart {
			one := c.storeWith(func(config *pgxpool.Config) { config.MaxConns = 1 })
			if list, err := c.newOn(one, c.totals()).Verify(within(t, patient)); verified(t, list, err) != "1: " {
				t.Errorf("by one connection: %+v", list)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		gone, err := projections.Verify(t.Context(), projections.In(c.pool, "asof"), c.store, "totals")
		if got := verified(t, gone, err); got != "1: " {
			t.Error(got)
		}
		c.exec(`update asof.lanes set position = $1`, int64(last))
		c.wantVerified(p, "1: "+c.category+": 4 events were applied and the log has 5: at least 1 of the log were not applied")
		c.exec(`update asof.lanes set position = 0`)
		c.exec(`update asof.dedup set version = version + 1 where stream_id = 'a-2' or stream_id = 'a-3'`)
		c.append("a-3", Deposited{Cents: 4})
		c.wantVerified(p, "1: "+c.category+": 4 events were applied and the log has 5: at least 1 of the log were not applied")
	})
}
