package apply

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// A read model that is fed from topics alone knows of each stream the last version that it
// has. When a later one comes before the next, the stream has a gap: what comes behind it
// waits in Kafka, and where the first of it stands is noted in the books. Once the version
// that was missing has come, the stream is read again from there.

// Gap is a stream that waits for an event.
type Gap struct {
	Stream  es.StreamID
	Source  string
	version es.Version // that has not come
	Next    int64      // offset of the first message after it
}

// gapsSQL reads the gaps of streams, and which of them are in a partition. Bind: $1 build, $2
// source, $3 categories, $4 ids, $5 topic, $6 partition.
const gapsSQL = `
select category, stream_id, version, next_offset, topic = $5 and partition = $6 from {asof}.gaps
where build = $1 and source = $2 and (category, stream_id) in (select * from unnest($3::text[], $4::text[]))`

// queueGaps reads the gaps of a work's streams: a stream may wait in several partitions, and
// in each for itself.
func (a *Applier) queueGaps(batch *pgx.Batch, b books.Build, w *Work, d *draft) {
	streams := streamsOf(w.Events)
	categories, ids := make([]string, len(streams)), make([]string, len(streams))
	for i, s := range streams {
		categories[i], ids[i] = s.Category, s.ID
	}
	batch.Queue(a.Books.SQL(gapsSQL), b.ID, w.Source, categories, ids, w.Offset.Topic, w.Offset.Partition).Query(func(rows pgx.Rows) error {
		g, here := Gap{Source: w.Source}, false
		_, err := pgx.ForEachRow(rows, []any{&g.Stream.Category, &g.Stream.ID, (*int64)(&g.version), &g.Next, &here}, func() error {
			if here {
				d.gaps[g.Stream] = g
			} else {
				d.elsewhere[g.Stream] = true
			}
			return nil
		})
		return err
	})
}

// admitStreams drops events that were applied, and what comes behind a gap. It raises
// d.seen, and notes new gaps.
func (a *Applier) admitStreams(w *Work, d *draft) []es.RecordedEvent {
	todo := make([]es.RecordedEvent, 0, len(w.Events))
	if w.Again != nil {
		delete(d.gaps, w.Again.Stream)
	}
	for i := range w.Events {
		e := &w.Events[i]
		last := d.seen[e.Stream]
		switch {
		case e.Version <= last:
		case e.Version == last+1, w.Sparse && !d.waits(e.Stream):
			todo = append(todo, *e)
			d.seen[e.Stream] = e.Version
		default:
			if _, open := d.gaps[e.Stream]; open || w.Offsets == nil {
				continue
			}
			g := Gap{Stream: e.Stream, Source: w.Source, version: last + 1, Next: w.Offsets[i]}
			d.gaps[e.Stream] = g
			d.opened = append(d.opened, g)
		}
	}
	return todo
}

// waits reports a stream that has a gap, in whatever partition: what comes later does not pass it,
// even where streams may have holes.
func (d *draft) waits(s es.StreamID) bool {
	_, here := d.gaps[s]
	return here || d.elsewhere[s]
}

// openGapSQL notes a Gap, or where it is now. Bind: $1 build, $2 source, $3 category, $4
// stream, $5 version, $6 topic, $7 partition, $8 offset.
const openGapSQL = `
insert into {asof}.gaps (build, source, category, stream_id, version, topic, partition, next_offset) values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (build, source, category, stream_id, topic, partition) do update set version = excluded.version, next_offset = excluded.next_offset, lost = false`

// Bind: $1 build, $2 source, $3 category, $4 stream, $5 topic, $6 partition.
const closeGapSQL = `
delete from {asof}.gaps where build = $1 and source = $2 and category = $3 and stream_id = $4 and topic = $5 and partition = $6`

// Bind: $1 build.
const countGapsSQL = `select count(distinct (source, category, stream_id)) from {asof}.gaps where build = $1`

// queueOpened writes how the gaps are now.
func (a *Applier) queueOpened(out *pgx.Batch, b books.Build, w *Work, d *draft) {
	if g := w.Again; g != nil {
		if _, open := d.gaps[g.Stream]; !open {
			out.Queue(a.Books.SQL(closeGapSQL), b.ID, g.Source, g.Stream.Category, g.Stream.ID, w.Offset.Topic, w.Offset.Partition)
		}
	}
	for _, g := range d.opened {
		out.Queue(a.Books.SQL(openGapSQL), b.ID, g.Source, g.Stream.Category, g.Stream.ID, int64(g.version), w.Offset.Topic, w.Offset.Partition, g.Next)
	}
	if len(d.opened) == 0 {
		return
	}
	out.Queue(a.Books.SQL(countGapsSQL), b.ID).QueryRow(func(row pgx.Row) error {
		var n int64
		err := row.Scan(&n)
		if err == nil && n > a.Most {
			err = fmt.Errorf("%w: %d of %s, and %d is the most (WithParked): the first of this batch is %s, which lacks version %d", fault.ErrTooManyGaps, n, b.Name, a.Most, d.opened[0].Stream, d.opened[0].version)
		}
		return err
	})
}

// readyGapsSQL finds the streams of a partition that have got what they waited for. Bind:
// $1 build, $2 topic, $3 partition.
const readyGapsSQL = `
select g.source, g.category, g.stream_id, g.version, g.next_offset
from {asof}.gaps g
join {asof}.dedup d on d.build = g.build and d.category = g.category and d.stream_id = g.stream_id and d.source = g.source
where g.build = $1 and g.topic = $2 and g.partition = $3 and d.version >= g.version and not g.lost
order by g.next_offset`

// ReadyGaps returns the streams of a partition that have got what they waited for.
func (a *Applier) ReadyGaps(ctx context.Context, b books.Build, at Partition) ([]Gap, error) {
	rows, err := a.Books.Pool().Query(ctx, a.Books.SQL(readyGapsSQL), b.ID, at.Topic, at.Number)
	if err != nil {
		return nil, fault.Explain("read the gaps", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Gap, err error) {
		err = row.Scan(&g.Source, &g.Stream.Category, &g.Stream.ID, (*int64)(&g.version), &g.Next)
		return g, err
	})
	return list, fault.Explain("read the gaps", err)
}

// readyPartitionsSQL finds the partitions in which streams wait that have got what they
// waited for. Bind: $1 build.
const readyPartitionsSQL = `
select distinct g.topic, g.partition
from {asof}.gaps g
join {asof}.dedup d on d.build = g.build and d.category = g.category and d.stream_id = g.stream_id and d.source = g.source
where g.build = $1 and d.version >= g.version and not g.lost`

// ReadyPartitions returns the partitions in which streams wait that have got what they waited
// for: it may have come by another partition, where a topic has grown or there are two.
func (a *Applier) ReadyPartitions(ctx context.Context, b books.Build) ([]Partition, error) {
	rows, err := a.Books.Pool().Query(ctx, a.Books.SQL(readyPartitionsSQL), b.ID)
	if err != nil {
		return nil, fault.Explain("read the gaps", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (at Partition, err error) {
		err = row.Scan(&at.Topic, &at.Number)
		return at, err
	})
	return list, fault.Explain("read the gaps", err)
}

// Bind: $1 build, $2 source, $3 category, $4 stream, $5 topic, $6 partition.
const lostGapSQL = `
update {asof}.gaps set lost = true where build = $1 and source = $2 and category = $3 and stream_id = $4 and topic = $5 and partition = $6`

// LoseGap says that a gap never closes.
func (a *Applier) LoseGap(ctx context.Context, b books.Build, at Partition, g Gap) error {
	_, err := a.Books.Pool().Exec(ctx, a.Books.SQL(lostGapSQL), b.ID, g.Source, g.Stream.Category, g.Stream.ID, at.Topic, at.Number)
	return fault.Explain("say that events are lost", err)
}

// Bind: $1 build, $2 source.
const lifeSQL = `select life from {asof}.lives where build = $1 and source = $2`

// queueLife refuses messages of another life of their store: versions that were lost with
// the former are given again. It reports to alive that the life of the source is known.
func (a *Applier) queueLife(batch *pgx.Batch, b books.Build, w *Work, alive *bool) {
	if w.Life == uuid.Nil {
		return
	}
	batch.Queue(a.Books.SQL(lifeSQL), b.ID, w.Source).Query(func(rows pgx.Rows) error {
		lives, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		*alive = len(lives) > 0
		if err != nil || len(lives) == 0 || lives[0] == w.Life {
			return err
		}
		return fmt.Errorf("projections: %w: %s has read events of life %s from source %q, and these are of life %s, which began after a loss of events: rebuild it once the topics hold this life alone, or have the lost events taken out of them", es.ErrAnotherLife, b.Name, lives[0], w.Source, w.Life)
	})
}

// beginLifeSQL notes the life of a source's store, which is the one that its first message
// said. Bind: $1 build, $2 source, $3 life.
const beginLifeSQL = `insert into {asof}.lives (build, source, life) values ($1, $2, $3) on conflict do nothing`

// queueBeginLife notes the life of a source that had none. When another lane has done so
// meanwhile, it must be looked at which it is.
func (a *Applier) queueBeginLife(out *pgx.Batch, b books.Build, w *Work) {
	out.Queue(a.Books.SQL(beginLifeSQL), b.ID, w.Source, w.Life).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("%w: %s, build %d: it has noted the life of source %q", errOvertaken, b.Name, b.ID, w.Source)
		}
		return nil
	})
}
