package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/table"
)

// versions is the dedup rows of a batch.
type versions map[es.StreamID]es.Version

// seenSQL reads the dedup rows of streams, each by its primary key: as a join Postgres would
// read all rows of the build while it has no statistics of them. Bind: $1 build, $2
// categories, $3 ids, $4 source.
const seenSQL = `
select u.category, u.stream_id, s.version
from unnest($2::text[], $3::text[]) u (category, stream_id)
cross join lateral (
    select version from {asof}.dedup s
    where s.build = $1 and s.category = u.category and s.stream_id = u.stream_id and s.source = $4 offset 0) s`

func (p *Projector) queueSeen(batch *pgx.Batch, b build, w *work, seen versions) {
	if len(w.events) == 0 || b.Kind == kindLog {
		return
	}
	streams := streamsOf(w.events)
	categories, ids := make([]string, len(streams)), make([]string, len(streams))
	for i, s := range streams {
		categories[i], ids[i] = s.Category, s.ID
	}
	batch.Queue(table.PlannedSQL)
	batch.Queue(p.q(seenSQL), b.ID, categories, ids, w.source).Query(func(rows pgx.Rows) error {
		var s es.StreamID
		var v int64
		_, err := pgx.ForEachRow(rows, []any{&s.Category, &s.ID, &v}, func() error {
			seen[s] = es.Version(v)
			return nil
		})
		return err
	})
}

func streamsOf(events []es.RecordedEvent) []es.StreamID {
	known := make(map[es.StreamID]struct{}, len(events))
	var list []es.StreamID
	for i := range events {
		if s := events[i].Stream; len(list) == 0 || list[len(list)-1] != s {
			if _, ok := known[s]; !ok {
				known[s] = struct{}{}
				list = append(list, s)
			}
		}
	}
	return list
}

// admit drops events that were applied or are not wanted.
func (p *Projector) admit(ctx context.Context, tx pgx.Tx, b build, w *work, f *found) ([]es.RecordedEvent, error) {
	switch b.Kind {
	case kindKafka:
		return p.admitVersions(ctx, tx, w.events, f.seen)
	case kindTopic:
		return p.admitStreams(w, f), nil
	}
	todo := make([]es.RecordedEvent, 0, len(w.events))
	for i := range w.events {
		if e := &w.events[i]; e.Position > b.Position && p.def.wants(e.Stream.Category) {
			todo = append(todo, *e)
		}
	}
	return todo, nil
}

// admitVersions goes by the versions of each stream, and fills gaps from the log. It
// raises seen.
func (p *Projector) admitVersions(ctx context.Context, tx pgx.Tx, events []es.RecordedEvent, seen versions) ([]es.RecordedEvent, error) {
	todo := make([]es.RecordedEvent, 0, len(events))
	for i := range events {
		e := &events[i]
		last := seen[e.Stream]
		if e.Version <= last || !p.def.wants(e.Stream.Category) {
			continue
		}
		if e.Version > last+1 {
			missing, err := p.missing(ctx, tx, e.Stream, last+1, e.Version-1)
			if err != nil {
				return nil, err
			}
			todo = append(todo, missing...)
		}
		todo = append(todo, *e)
		seen[e.Stream] = e.Version
	}
	return todo, nil
}

// missing reads a gap from the log, on the transaction's own connection.
func (p *Projector) missing(ctx context.Context, tx pgx.Tx, s es.StreamID, from, to es.Version) ([]es.RecordedEvent, error) {
	var list []es.RecordedEvent
	for e, err := range p.store.InTx(tx).ReadStream(ctx, s, from) {
		if err != nil {
			return nil, fmt.Errorf("fill the gap of %s from version %d to %d: %w", s, from, to, err)
		}
		if e.Version > to {
			break
		}
		list = append(list, e)
	}
	if len(list) != int(to-from)+1 {
		return nil, fmt.Errorf("the log has %d of the %d events of %s from version %d to %d: is the source another store's?", len(list), int(to-from)+1, s, from, to)
	}
	return list, nil
}

// saveSeenSQL writes dedup rows. Bind: $1 build, $2 categories, $3 ids, $4 versions, $5
// source.
const saveSeenSQL = `
insert into {asof}.dedup (build, category, stream_id, version, source)
select $1, *, $5 from unnest($2::text[], $3::text[], $4::bigint[])
on conflict (build, category, stream_id, source) do update set version = excluded.version`

func (p *Projector) writeSeen(ctx context.Context, tx pgx.Tx, b build, w *work, before, seen versions, out *pgx.Batch) error {
	var categories, ids []string
	var vs []int64
	var added [][]any
	for s, v := range seen {
		if old, had := before[s]; had && old == v {
			continue
		} else if !had && w.bulk {
			added = append(added, []any{b.ID, s.Category, s.ID, int64(v), w.source})
			continue
		}
		categories, ids, vs = append(categories, s.Category), append(ids, s.ID), append(vs, int64(v))
	}
	if len(added) > 0 {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{p.target.Schema(), "dedup"}, []string{"build", "category", "stream_id", "version", "source"}, pgx.CopyFromRows(added))
		if err != nil {
			return err
		}
	}
	if len(vs) > 0 {
		out.Queue(p.q(saveSeenSQL), b.ID, categories, ids, vs, w.source)
	}
	return nil
}
