package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// moved is what was recorded once, where there are a withdrawal and a deposit now.
type moved struct{ Out, In int64 }

// splitting reads it as several events, and account.seen as none.
func splitting() es.Codec[Event] {
	return es.Upcast(codec(),
		es.SplitJSON("account.moved", 1, func(old moved) ([]es.Event, error) {
			return []es.Event{Withdrawn{old.Out}, Deposited{old.In}, Deposited{1}}, nil
		}),
		es.SplitJSON("account.seen", 1, func(struct{}) ([]es.Event, error) { return nil, nil }))
}

func movedData(out, in int64) es.EventData {
	return es.EventData{ID: es.NewID(), Type: "account.moved", Data: fmt.Appendf(nil, `{"Out":%d,"In":%d}`, out, in)}
}

func seenData() es.EventData {
	return es.EventData{ID: es.NewID(), Type: "account.seen", Data: []byte(`{}`)}
}

// Piece is a row of which it matters how events come to it.
type Piece struct {
	Name  string `db:"name"`
	Cents int64  `db:"cents"`
	Story string `db:"story"` // the parts that it has had, in order
}

const balked = 666 // cents of a deposit that is refused until the program is mended

var errBalked = errors.New("not this one")

// pieces has a row for each stream, by two texts, and one of all; a row that comes to zero is
// removed.
func pieces(suffix, category string, mended *atomic.Bool) projections.Fold[Piece, Event] {
	return projections.Fold[Piece, Event]{
		Name: "pieces" + suffix, Version: 1, Categories: []string{category}, Codec: splitting(), Order: projections.Commuting,
		Table: fmt.Sprintf(`create table pieces%s (name text collate folded primary key, cents bigint not null, story text not null)`, suffix),
		Keys: func(e Event, r es.Recorded) []string {
			if _, ok := e.(Opened); ok {
				return []string{r.Stream.ID}
			}
			return []string{r.Stream.ID, "A" + r.Stream.ID[1:], "all"}
		},
		TryApply: func(p *Piece, e Event, r es.Recorded) error {
			p.tell(e, r)
			if cents(e) == balked && p.Name != "all" && !mended.Load() {
				return errBalked
			}
			return nil
		},
		Delete: func(p *Piece) bool { return p.Cents == 0 },
	}
}

func byName(p Piece) string { return p.Name }

func (p *Piece) tell(e Event, r es.Recorded) {
	switch e := e.(type) {
	case Opened:
		p.Cents++
	case Deposited:
		p.Cents += e.Cents
	case Withdrawn:
		p.Cents -= e.Cents
	}
	if p.Name == "all" { // streams overtake each other
		return
	}
	p.Story += fmt.Sprintf("%d.%d/%d ", r.Version, r.Part, r.Parts)
}

// foldPieces is what the rows must be, but for what is parked: without the framework.
func foldPieces(t testing.TB, category string, history []es.RecordedEvent, mended bool) (rows map[string]Piece, parked int64) {
	t.Helper()
	rows = map[string]Piece{}
	lacks := map[string]bool{}
	for _, recorded := range history {
		if recorded.Stream.Category != category {
			continue
		}
		events, err := splitting().Decode(context.Background(), nil, recorded)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{recorded.Stream.ID, "all"} {
			next, touched, bad := rows[name], false, false
			for i, e := range events {
				if _, ok := e.(Opened); ok && name == "all" {
					continue
				}
				touched, next.Name = true, name
				next.tell(e, recorded.PartOf(i, len(events)))
				bad = bad || cents(e) == balked && name != "all" && !mended
				if next.Cents == 0 {
					next = Piece{}
				}
			}
			lacks[name] = lacks[name] || bad
			switch {
			case lacks[name] && touched:
				parked++
			case next == Piece{}:
				delete(rows, name)
			default:
				rows[name] = next
			}
		}
	}
	return rows, parked
}

// Whatever is split, into whatever parts: live, rebuilt and as-of rows are those of the parts
// one after the other, all of an event or none; a row that a part removes begins anew with the
// next; and what is parked is applied as a whole when the program is mended.
func TestAny_history_that_is_split_is_the_same_live_rebuilt_and_as_of(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
	var round atomic.Int64
	rounds, failed := int64(checks(t)/2), false
	rapid.Check(t, func(t *rapid.T) {
		n := round.Add(1)
		if n > rounds && !failed { // else it shrinks what has failed
			return
		}
		good := false
		defer func() { failed = failed || !good }()
		category, mended := fmt.Sprintf("account%d", n), new(atomic.Bool)
		w := *w
		w.category = category
		def := pieces(fmt.Sprint(n), category, mended)
		p := projections.New(w.store, def,
			projections.WithBatch(rapid.IntRange(1, 9).Draw(t, "batch")),
			projections.WithMemory(rapid.SampledFrom([]int{1, 1000, 1 << 20}).Draw(t, "bytes in memory")),
			projections.WithBeside(rapid.SampledFrom([]int{1, 3}).Draw(t, "rows at once")))
		amount := rapid.SampledFrom([]int64{0, 1, 2, 5, balked})
		story := func(label string) {
			for range rapid.IntRange(0, 12).Draw(t, label) {
				s := w.stream(rapid.SampledFrom([]string{"a-1", "a-2"}).Draw(t, "stream"))
				data := seenData()
				switch rapid.IntRange(0, 4).Draw(t, "kind") {
				case 0:
					data, _ = codec().Encode(t.Context(), s, Opened{"ann"})
				case 1:
					data, _ = codec().Encode(t.Context(), s, Deposited{amount.Draw(t, "cents")})
				case 2, 3:
					data = movedData(rapid.Int64Range(0, 7).Draw(t, "out"), amount.Draw(t, "in"))
				}
				w.appendData(s, data)
			}
		}
		check := func(what string) (last es.RecordedEvent) {
			history := w.history()
			if len(history) == 0 {
				return last
			}
			last = history[len(history)-1]
			reach(w, p, last.Position)
			rows, parked := foldPieces(w, category, history, mended.Load())
			if diff := cmp.Diff(rows, tableOf(&w, def.Name+"."+def.Name, byName)); diff != "" {
				t.Fatalf("%s: %s", what, diff)
			}
			status, err := p.Status(t.Context())
			if err != nil || status.Skipped != 0 || status.Parked != parked {
				t.Fatalf("%s: %d are parked, want %d: %+v, %v", what, status.Parked, parked, status, err)
			}
			return last
		}
		rebuild := func() {
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		story("before")
		rebuild()
		check("rebuilt")
		stop := start(w, p)
		story("live")
		last := check("live")
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		rebuild()
		check("rebuilt again")
		if last.Position > 0 {
			rows, _ := foldPieces(w, category, w.history(), false)
			err := p.AsOf(t.Context(), es.AtPosition(last.Position), func(ctx context.Context, tx pgx.Tx) error {
				if diff := cmp.Diff(rows, readTable(w, tx, def.Name, byName)); diff != "" {
					t.Fatalf("as of: %s", diff)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		mended.Store(true)
		if _, err := p.RetryAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("mended")
		good = true
	})
}

// Statements of all parts of an event are sent, or none of them.
func TestStatements_of_parts_are_sent_together(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	def := projections.Statements[Event]{
		Name: "parts", Version: 1, Codec: splitting(), Order: projections.OneStream,
		Tables: `create table parts (id uuid, part int, parts int, cents bigint, primary key (id, part))`,
		Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
			b.Queue(`insert into parts values ($1, $2, $3, $4)`, r.ID, r.Part, r.Parts, cents(e))
			if cents(e) == balked && !mended.Load() {
				panic(errBalked)
			}
		},
	}
	p := projections.New(w.store, def)
	start(t, p)
	w.appendData(account("a-1"), movedData(5, 6))
	w.appendData(account("a-2"), movedData(7, balked))
	w.append("a-1", Deposited{Cents: 8})
	reach(t, p, w.appendData(account("a-1"), seenData()))
	sum := func() int64 { return w.number(`select count(*) * 1000 + sum(cents * 10 + part) from parts.parts`) }
	if got, want := sum(), int64(4*1000+(5+6+1+8)*10+1+2+3); got != want {
		t.Errorf("%d, want %d", got, want)
	}
	wantParked(t, p, w.store, 1)
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done.Applied != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if got, want := sum(), int64(7*1000+(5+6+1+8+7+balked+1)*10+2*(1+2+3)); got != want {
		t.Errorf("%d, want %d", got, want)
	}
	if s, err := p.Status(t.Context()); err != nil || s.Skipped != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// waiting is a codec that asks somebody who does not answer yet.
type waiting struct {
	es.Codec[Event]
	answers *atomic.Bool
}

func (c waiting) Decode(ctx context.Context, into []Event, r es.RecordedEvent) ([]Event, error) {
	if r.Type == "account.deposited" && !c.answers.Load() {
		return into, fmt.Errorf("%w: the keys of %s", es.ErrUnavailable, r.Stream)
	}
	return c.Codec.Decode(ctx, into, r)
}

// What a codec asks may be down: that parks nothing, and is waited for.
func TestCodec_that_is_unavailable_is_waited_for(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, answers := balances(), new(atomic.Bool)
	def.Codec, def.Order = waiting{codec(), answers}, projections.OneStream
	p := projections.New(w.store, def)
	start(t, p)
	w.wait(p, w.append("a-1", Opened{Owner: "ann"}))
	last := w.append("a-1", Deposited{Cents: 5})
	until(t, "it says that it waits", func() bool {
		s, err := p.Status(t.Context())
		return err == nil && s.Failure != "" && s.Parked == 0 && s.Position < last
	})
	answers.Store(true)
	w.wait(p, last)
	w.wantBalances("balances.balances")
}
