package projections_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// deposited2 is a Deposited in its second shape, as a newer program writes and reads it.
type deposited2 struct{ Amount int64 }

func (deposited2) EventType() string { return Deposited{}.EventType() }
func (deposited2) EventSchema() int  { return 2 }
func (deposited2) account()          {}

func newerCodec() es.Codec[Event] {
	return es.Upcast(es.JSON[Event](Opened{}, deposited2{}, Withdrawn{}),
		es.UpcastJSON(Deposited{}.EventType(), 1, func(old Deposited) (deposited2, error) { return deposited2{old.Cents}, nil }))
}

// readsNewer is the definition as the newer program has it.
func readsNewer(def projections.Fold[Balance, Event]) projections.Fold[Balance, Event] {
	apply := def.Apply
	def.Codec = newerCodec()
	def.Apply = func(b *Balance, e Event, r es.Recorded) {
		if d, ok := e.(deposited2); ok {
			e = Deposited{Cents: d.Amount}
		}
		apply(b, e, r)
	}
	return def
}

// A program that meets what only a newer one can read waits for that one, and says so; it
// neither parks the event nor leaves it out. The newer one takes over the read model as it is.
func TestEvent_of_a_newer_schema_is_waited_for(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]projections.Order{"one stream": projections.OneStream, "commuting": projections.Commuting, "order of the log": projections.LogOrder} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := balances()
			def.Order = order
			p := projections.New(w.store, def)
			w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
			stop := start(t, p)
			newer, err := newerCodec().Encode(t.Context(), es.StreamID{}, deposited2{Amount: 100})
			if err != nil {
				t.Fatal(err)
			}
			before := w.append("a-2", Opened{Owner: "bob"})
			w.wait(p, before)
			w.appendData(es.StreamID{Category: "account", ID: "a-1"}, newer)
			last := w.append("a-1", Deposited{Cents: 7})
			until(t, "it says that it waits", func() bool {
				s, err := p.Status(t.Context())
				return err == nil && strings.Contains(s.Failure, "has schema 2, and this program reads 1")
			})
			s, err := p.Status(t.Context())
			if err != nil || s.Position != before || s.Parked != 0 || s.Skipped != 0 {
				t.Errorf("%+v, %v", s, err)
			}
			if err := projections.New(w.store, def).Rebuild(t.Context()); !errors.Is(err, es.ErrNewerSchema) {
				t.Errorf("a rebuild: %v", err)
			}
			asOf := func(p *projections.Projector) (cents int64, err error) {
				err = p.AsOf(t.Context(), es.AtPosition(last), func(ctx context.Context, tx pgx.Tx) error {
					return tx.QueryRow(ctx, `select cents from balances where account = 'a-1'`).Scan(&cents)
				})
				return cents, err
			}
			if _, err := asOf(p); !errors.Is(err, es.ErrNewerSchema) {
				t.Errorf("as of: %v", err)
			}
			if err := stop(); err != nil {
				t.Fatalf("it has ended: %v", err)
			}

			q := projections.New(w.store, readsNewer(def))
			start(t, q)
			w.wait(q, last)
			if n := w.number(`select cents from balances.balances where account = 'a-1'`); n != 112 {
				t.Errorf("%d cents", n)
			}
			if n, err := asOf(q); n != 112 || err != nil {
				t.Errorf("as of: %d, %v", n, err)
			}
			if err := q.Rebuild(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// So it does where the event comes by Kafka, with a log behind it and without.
func TestKafka_event_of_a_newer_schema_is_waited_for(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"with the log", "topics alone"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t)
			read, at := func(def projections.Definition) *projections.Projector { return g.projector(def) }, g.target
			if what == "with the log" {
				read, at = func(def projections.Definition) *projections.Projector { return g.cluster.projector(def) }, g.world
			}
			p := read(g.balances())
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			stop := start(t, p)
			g.append("a-1", Opened{Owner: "ann"})
			until(t, "it reads", func() bool { return at.number(`select count(*) from asof.offsets`) == partitions })
			g.publish(g.history()...)
			until(t, "it is applied", func() bool { return at.number(`select count(*) from balances.balances`) == 1 })
			newer, err := newerCodec().Encode(t.Context(), es.StreamID{}, deposited2{Amount: 100})
			if err != nil {
				t.Fatal(err)
			}
			g.appendData(es.StreamID{Category: g.category, ID: "a-1"}, newer)
			g.append("a-1", Deposited{Cents: 7})
			g.publish(g.history()[1:]...)
			until(t, "it says that it waits", func() bool {
				return strings.Contains(g.status(p).Failure, "has schema 2, and this program reads 1")
			})
			if s := g.status(p); s.Parked != 0 || s.Skipped != 0 || at.number(`select sum(next_offset) from asof.offsets`) > 1 {
				t.Errorf("%+v", s)
			}
			if err := stop(); err != nil {
				t.Fatalf("it has ended: %v", err)
			}
			start(t, read(readsNewer(g.balances())))
			until(t, "all is applied", func() bool { return at.number(`select cents from balances.balances where account = 'a-1'`) == 107 })
		})
	}
}
