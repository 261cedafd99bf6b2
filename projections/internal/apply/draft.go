package apply

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
	"github.com/asof-dev/asof/projections/internal/table"
)

// draft is what a work comes to: what the books say is read and the events are folded before
// any lock is taken, and what it comes to is written after. It is right while nobody else has
// written to what it touches. Whoever does raises the counter of the lane, in the same
// transaction; so the counters are compared under the lock.
type draft struct {
	w         Work // as it is left
	b         books.Build
	fence     fence
	seen      Versions
	before    Versions // seen, as found
	parking   *fold.Parking
	gaps      map[es.StreamID]Gap  // of the streams, in the partition of the work
	elsewhere map[es.StreamID]bool // streams of it that have gaps in other partitions
	opened    []Gap
	alive     bool                 // the life of the source is known
	were      map[uuid.UUID]before // of what is parked, by event
	applied   bool                 // another process did it
	todo      []es.RecordedEvent
	skipped   int64
	state     fold.State // nil when there is nothing to fold
}

// fence is the counters of lanes.
type fence []int64

// access is how the database is asked: outside of transactions, or in one.
type access struct {
	send   table.Send
	stream func(ctx context.Context, s es.StreamID, from es.Version) iter.Seq2[es.RecordedEvent, error]
}

func (a *Applier) outside() access {
	o := access{send: a.Send}
	if a.Log != nil {
		o.stream = a.Log.ReadStream
	}
	return o
}

func (a *Applier) inside(tx pgx.Tx) access {
	i := a.outside()
	i.send = SendIn(tx)
	if a.Beside() {
		i.stream = a.Log.InTx(tx).ReadStream
	}
	return i
}

// fenceSQL reads the counters of the lanes that a work touches, or all of them: whoever takes
// the whole build raises that of lane 0. Bind: $1 build, $2 lanes or null.
const fenceSQL = `select counter from {asof}.lanes where build = $1 and ($2::int[] is null or lane = 0 or lane = any($2)) order by lane`

func (a *Applier) queueFence(batch *pgx.Batch, b books.Build, lanes []int, look func(fence) error) {
	batch.Queue(a.Books.SQL(fenceSQL), b.ID, lanes).Query(func(rows pgx.Rows) error {
		now, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		return look(now)
	})
}

// plan reads what the books say of a work, in one round trip with what is in the batch, and
// finds which events are to be applied. The counters are read before all else, each statement
// having a snapshot of its own.
func (a *Applier) plan(ctx context.Context, from access, batch *pgx.Batch, b books.Build, w *Work) (*draft, error) {
	d := &draft{w: *w, seen: Versions{}, parking: fold.NewParking(a.Def, a.Most), gaps: map[es.StreamID]Gap{}, elsewhere: map[es.StreamID]bool{}}
	a.queueFence(batch, b, a.lanes(b, w), func(now fence) error { d.fence = now; return nil })
	a.queueLook(batch, b, w.parked != nil, func(now books.Build) error { d.b = now; return nil })
	a.queueSeen(batch, b, w, d.seen)
	d.parking.Source = w.Source
	if len(w.Events) > 0 {
		a.Books.QueueParking(batch, b, streamsOf(w.Events), d.parking)
	}
	switch {
	case len(w.Events) == 0:
	case w.parked != nil:
		a.queueWere(batch, b, w, d)
	case b.Kind == books.KindTopic:
		a.queueGaps(batch, b, w, d)
		a.queueLife(batch, b, w, &d.alive)
	case b.Kind == books.KindKafka && w.Offset != nil && !w.known:
		if err := a.judge(ctx, batch, b, &d.w); err != nil {
			return nil, err
		}
	}
	if err := from.send(ctx, batch); err != nil {
		return nil, err
	}
	d.b.Life = b.Life // that the events were read in
	d.parking.Stored, d.parking.Refused, d.parking.Trying = d.b.Parked, w.refused, w.rehearse
	return d, a.decide(ctx, from, d, w)
}

// decide finds which events of a work are to be applied. Given is the work as it came.
func (a *Applier) decide(ctx context.Context, from access, d *draft, given *Work) (err error) {
	b, w := d.b, &d.w
	if w.Position > 0 && w.Position <= b.Position || w.Over != nil && w.Over.After != b.Position {
		d.applied = true
		return nil
	}
	if b.Position < w.After { // the database was put back under us
		return fmt.Errorf("%w: %s version %d, build %d is at position %d and was at %d", fault.ErrFenced, b.Name, b.Version, b.ID, b.Position, w.After)
	}
	if w.parked != nil {
		if err := d.takeParked(); err != nil {
			return err
		}
	}
	w.Gapped = len(d.elsewhere)+len(d.gaps) > 0
	d.before = maps.Clone(d.seen)
	if d.todo, err = a.admit(ctx, from, d); err != nil {
		return err
	}
	w.Gapped = w.Gapped || len(d.opened) > 0
	if w.apart(given) {
		return ErrApart
	}
	return nil
}

// foldDraft runs the user's code.
func (a *Applier) foldDraft(ctx context.Context, send table.Send, d *draft) error {
	if len(d.todo) == 0 {
		return nil
	}
	m, err := a.Model(ctx, d.b)
	if err != nil {
		return err
	}
	events := m.Decode(ctx, d.todo)
	d.state, d.skipped = m.Open(d.b.Place(), d.b.Empty()), events.Skipped()
	err = a.pace.measure(len(d.todo), send, func(send table.Send) error { return d.state.Fold(ctx, send, events, d.parking) })
	if err != nil {
		return err
	}
	for i := range d.parking.Fresh {
		d.again(&d.parking.Fresh[i])
	}
	return nil
}

// writeDraft writes what a work comes to in one transaction, if nobody else has written to
// what it touches since it was read. B is the build as the caller knows it.
func (a *Applier) writeDraft(ctx context.Context, b books.Build, d *draft) error {
	if d.applied {
		return nil
	}
	found := d.b
	err := a.tryWrite(ctx, b, d, false)
	if Moved(err) {
		d.b = found
		err = a.tryWrite(ctx, b, d, true)
	}
	return err
}

func (a *Applier) tryWrite(ctx context.Context, b books.Build, d *draft, moves bool) error {
	w := &d.w
	err := a.Transaction(ctx, func(conn *pgx.Conn, out *pgx.Batch) error {
		a.queueTurn(out, b, w)
		a.queueFence(out, b, a.lanes(b, w), func(now fence) error {
			if !slices.Equal(now, d.fence) {
				return fmt.Errorf("%w: %s version %d, build %d", errOvertaken, b.Name, b.Version, b.ID)
			}
			return nil
		})
		if w.Bulk || d.state != nil && d.state.ByPath() {
			if err := SendOn(ctx, conn, out); err != nil {
				return err
			}
		}
		if err := a.queueDraft(ctx, conn, out, d, moves); err != nil || !w.rehearse {
			return err
		}
		if err := SendOn(ctx, conn, out); err != nil {
			return err
		}
		return fault.ErrDone
	})
	if errors.Is(err, fault.ErrDone) {
		return nil
	}
	return err
}

// queueDraft queues what a work comes to, or writes it at once, in the transaction that has
// the build's turn, and changes d.b as the row is changed.
func (a *Applier) queueDraft(ctx context.Context, conn *pgx.Conn, out *pgx.Batch, d *draft, moves bool) error {
	if d.applied {
		return nil
	}
	b, w := &d.b, &d.w
	t := books.Tally{Read: w.read(b.Position), Foreign: w.Foreign}
	if len(w.Events) > 0 && b.Kind == books.KindTopic && w.Life != uuid.Nil && !d.alive {
		a.queueBeginLife(out, *b, w)
	}
	if len(d.todo) > 0 {
		if w.parked != nil {
			a.queueTake(out, *b, w)
			t.Parked -= int64(len(d.todo))
		} else {
			t.Apply(d.todo)
		}
		t.Skipped = d.skipped
		t.Parked += int64(len(d.parking.Fresh))
		if err := a.writeSeen(ctx, conn, *b, w, d.before, d.seen, out); err != nil {
			return err
		}
		if err := d.state.Write(ctx, conn, out, table.How{Alone: b.Mine() && w.Bulk, Moves: moves}); err != nil {
			return err
		}
		a.Books.QueueParked(out, *b, w.Source, d.parking.Fresh)
	}
	if w.Position > b.Position {
		t.Position, t.Event = w.Position, w.eventAt(w.Position)
	}
	if lanes := a.lanes(*b, w); lanes != nil {
		a.Books.QueueLaneTally(out, b, lanes[0], &t)
	} else {
		a.Books.QueueTally(out, b, &t, nil)
	}
	a.queueOffsets(out, *b, w)
	a.queueOpened(out, *b, w, d)
	if w.rehearse {
		out.Queue(ConstraintsSQL)
	}
	return nil
}

// splits reports work that may be applied in parts: what is applied of it stands in the dedup
// rows.
func (w *Work) splits(b books.Build) bool {
	return b.Kind != books.KindLog && w.parked == nil && !w.rehearse
}

// part is the work of some of its events, in their order. It leaves offsets where they are, and
// yet says how far it has come: what is applied and lies beyond that would be applied again once
// the log feeds the build.
func (w *Work) part(events []es.RecordedEvent) *Work {
	p := &Work{Events: events, After: w.After, Source: w.Source, Life: w.Life, Bulk: w.Bulk, refused: w.refused, known: true}
	if w.Position > 0 { // a page of the log, of which all before is applied
		p.Position = events[len(events)-1].Position
	}
	if w.Offset != nil {
		p.Offset = w.Offset.still()
	}
	for _, o := range w.Others {
		p.Others = append(p.Others, o.still())
	}
	return p
}

// still is the offset where it is.
func (o *Offset) still() *Offset {
	s := *o
	s.Next = s.From
	return &s
}
