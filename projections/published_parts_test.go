package projections_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/mapping"
	"github.com/asof-dev/asof/projections"
)

// inParts publishes a deposit of more than five as two or three events, and nothing of a
// withdrawal where it is sparse.
func inParts(category string, sparse bool) mapping.Mapping {
	return mapping.Of(mapping.Config[Event, Event]{
		Name: "public", Category: category, Codec: codec(), Public: codec(), Sparse: sparse,
		Map: func(_ context.Context, e Event, _ es.Recorded) ([]Event, error) {
			switch d := e.(type) {
			case Deposited:
				if d.Cents > 5 {
					return []Event{Deposited{d.Cents - 3}, Withdrawn{2}, Deposited{5}}, nil
				}
				if d.Cents == 5 {
					return []Event{Withdrawn{1}, Deposited{6}}, nil
				}
			case Withdrawn:
				if sparse {
					return nil, nil
				}
			}
			return []Event{e}, nil
		},
	})
}

// letters are the messages of events, each with where its event begins.
func (g *guest) letters(m mapping.Mapping, events []es.RecordedEvent) (list []kafka.Message, begins []int) {
	g.Helper()
	for _, e := range events {
		public, err := m.Publish(context.Background(), e)
		if err != nil {
			g.Fatal(err)
		}
		begin := len(list)
		for i := range public {
			message := kafka.FromEvent(eventSource, g.category, public[i].RecordedEvent)
			message.Headers = append(message.Headers, kafka.LifeHeader(g.life))
			if m.Sparse() {
				message.Headers = append(message.Headers, kafka.SparseHeader())
			}
			list, begins = append(list, message), append(begins, begin)
		}
	}
	return list, begins
}

// toldPieces is what the rows must be: of all parts, in order, each once.
func toldPieces(t testing.TB, m mapping.Mapping, history []es.RecordedEvent) map[string]Piece {
	t.Helper()
	rows := map[string]Piece{}
	for _, recorded := range history {
		public, err := m.Publish(context.Background(), recorded)
		if err != nil {
			t.Fatal(err)
		}
		for i := range public {
			e, err := es.One(codec().Decode(context.Background(), nil, public[i].RecordedEvent))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{recorded.Stream.ID, "all"} {
				if _, ok := e.(Opened); ok && name == "all" {
					continue
				}
				next := rows[name]
				next.Name = name
				next.tell(e, public[i].Recorded)
				if rows[name] = next; next.Cents == 0 {
					delete(rows, name)
				}
			}
		}
	}
	return rows
}

// However the messages come, in whatever pieces, repeated from whatever event on, and however
// the projector is stopped: all parts of an event are applied once, and together.
func TestTopics_alone_apply_parts_once_and_together(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			randomParts(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func randomParts(t *testing.T, r *rand.Rand) {
	g := newGuest(t)
	g.target.exec(`create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
	published := inParts(g.category, r.IntN(2) == 0)
	def := pieces("", g.category, new(atomic.Bool))
	def.Codec = codec()
	batch := projections.WithBatch(1 + r.IntN(6))
	for range 30 {
		id, cents := fmt.Sprint("a-", 1+r.IntN(3)), r.Int64N(10)
		switch r.IntN(6) {
		case 0:
			g.append(id, Opened{"ann"})
		case 1:
			g.append(id, Withdrawn{cents})
		default:
			g.append(id, Deposited{cents})
		}
	}
	messages, begins := g.letters(published, g.history())
	p := g.projector(def, batch)
	stop := start(t, p)
	g.untilAll(p) // from here on it follows
	for at := 0; at < len(messages); {
		some := min(1+r.IntN(9), len(messages)-at)
		g.send(messages[at : at+some]...)
		at += some
		switch r.IntN(8) {
		case 0: // the relay was killed
			if at < len(messages) {
				at = begins[max(0, at-r.IntN(5))]
			}
		case 1: // the projector is stopped
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			p = g.projector(def, batch)
			stop = start(t, p)
		case 2, 3, 4: // what there is is read before more comes
			<-time.After(time.Duration(r.IntN(30)) * time.Millisecond)
		}
	}
	check := func(what string) {
		g.untilAll(p)
		if diff := cmp.Diff(toldPieces(t, published, g.history()), tableOf(g.target, "pieces.pieces", byName)); diff != "" {
			t.Fatalf("%s: %s", what, diff)
		}
		if s := g.status(p); s.Parked != 0 || s.Gaps != nil || s.Skipped != 0 {
			t.Fatalf("%s: %+v, %+v", what, s, s.Gaps)
		}
	}
	check("live")
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("rebuilt")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A page of messages ends within the parts of an event.
func TestRebuild_of_topics_takes_parts_over_pages(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.target.exec(`create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
	var many []Event
	for range 850 {
		many = append(many, Deposited{9})
	}
	g.append("a-1", many...)
	g.append("a-1", many...)
	published := inParts(g.category, false)
	messages, _ := g.letters(published, g.history())
	g.send(messages...) // 5,100
	def := pieces("", g.category, new(atomic.Bool))
	def.Codec = codec()
	p := g.projector(def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := tableOf(g.target, "pieces.pieces", byName)["a-1"].Cents; got != 1700*9 {
		t.Errorf("%d cents", got)
	}
}

// An event of which a part was lost is not applied in part: its stream waits as at any gap,
// other streams go on, and it is whole when it is published anew, as other parts even.
func TestTopics_alone_wait_for_a_part_that_was_lost(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.target.exec(`create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
	g.append("a-1", Deposited{1}, Deposited{9}, Deposited{2})
	g.append("a-2", Deposited{4})
	published := inParts(g.category, false)
	messages, _ := g.letters(published, g.history())
	def := pieces("", g.category, new(atomic.Bool))
	def.Codec = codec()
	p := g.projector(def)
	start(t, p)
	g.send(messages[:3]...) // 1, and two of three parts of 2
	g.send(messages[4:]...)
	g.untilAll(p)
	rows := tableOf(g.target, "pieces.pieces", byName)
	if s := g.status(p); s.Gaps == nil || s.Gaps.Streams != 1 || rows["a-1"].Story != "1.0/0 " || rows["a-2"].Cents != 4 {
		t.Errorf("%+v, %v", s.Gaps, rows)
	}
	g.send(messages[1:4]...)
	until(t, "there is no gap", func() bool { return g.status(p).Gaps == nil })
	g.untilAll(p)
	if diff := cmp.Diff(toldPieces(t, published, g.history()), tableOf(g.target, "pieces.pieces", byName)); diff != "" {
		t.Error(diff)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(toldPieces(t, published, g.history()), tableOf(g.target, "pieces.pieces", byName)); diff != "" {
		t.Error(diff)
	}

	// A mapping that makes two of it takes over in the middle of one that made three.
	g.append("a-1", Deposited{8})
	messages, _ = g.letters(published, g.history()[4:])
	g.send(messages[:2]...)
	plain, _ := g.letters(mapping.Plain(g.category, "public"), g.history()[4:])
	g.send(plain...)
	g.untilAll(p)
	if got := tableOf(g.target, "pieces.pieces", byName)["a-1"]; got.Cents != 1+9+2+8 || fmt.Sprint(got.Story) != "1.0/0 2.1/3 2.2/3 2.3/3 3.0/0 4.0/0 " {
		t.Errorf("%+v", got)
	}
}

// Where streams may have holes, an event does not pass a gap that its stream has all the same:
// as when a topic says that of late.
func TestTopics_in_which_streams_have_holes_pass_no_gap(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.append("a-1", Opened{"ann"}, Deposited{1}, Deposited{10}, Deposited{100}, Deposited{1000})
	dense, _ := g.letters(mapping.Plain(g.category, "public"), g.history())
	sparse, _ := g.letters(inParts(g.category, true), g.history()[4:])
	p := g.projector(g.totals())
	start(t, p)
	g.send(dense[0], dense[1], dense[3])
	g.untilAll(p)
	g.send(sparse...)
	g.untilAll(p)
	if got := tableOf(g.target, "totals.totals", byBucket)["all"]; got.Cents != 1 || g.status(p).Gaps == nil {
		t.Errorf("%+v", got)
	}
	g.send(dense[2])
	until(t, "there is no gap", func() bool { return g.status(p).Gaps == nil })
	g.untilAll(p)
	if got := tableOf(g.target, "totals.totals", byBucket)["all"]; got.Cents != 1111 {
		t.Errorf("%+v", got)
	}
}

// Parts are told apart by what each is: its type, its schema and its number among all, also
// those of types that the projection does not know.
func TestParts_have_types_of_their_own(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.append("a-1", Deposited{9})
	messages, _ := g.letters(inParts(g.category, false), g.history())
	g.send(messages...)
	def := projections.Statements[Event]{
		Name: "told", Version: 1, Codec: es.JSON[Event](Deposited{}), Categories: []string{g.category}, Order: projections.OneStream,
		Tables: `create table told (part int primary key, parts int, type text, cents bigint)`,
		Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
			b.Queue(`insert into told values ($1, $2, $3, $4)`, r.Part, r.Parts, r.Type, cents(e))
		},
	}
	p := g.projector(def)
	start(t, p)
	g.untilAll(p)
	type told struct {
		Part  int32  `db:"part"`
		Parts int32  `db:"parts"`
		Type  string `db:"type"`
		Cents int64  `db:"cents"`
	}
	want := map[string]told{"1": {1, 3, "account.deposited", 6}, "3": {3, 3, "account.deposited", 5}}
	same(t, want, tableOf(g.target, "told.told", func(t told) string { return fmt.Sprint(t.Part) }))

	fold := projections.Fold[Piece, Event]{
		Name: "types", Version: 1, Codec: codec(), Categories: []string{g.category}, Order: projections.OneStream,
		Table: `create table types (name text primary key, cents bigint not null, story text not null)`,
		Key:   func(_ Event, r es.Recorded) string { return r.Type },
		Apply: func(p *Piece, e Event, r es.Recorded) {
			p.Cents += cents(e)
			p.Story += fmt.Sprintf("%d/%d ", r.Part, r.Parts)
		},
	}
	q := g.projector(fold)
	start(t, q)
	g.untilAll(q)
	same(t, map[string]Piece{"account.deposited": {"account.deposited", 11, "1/3 3/3 "}, "account.withdrawn": {"account.withdrawn", 2, "2/3 "}}, tableOf(g.target, "types.types", byName))
}
