package apply

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Versions is the dedup rows of a batch.
type Versions map[es.StreamID]es.Version

// seenSQL reads the dedup rows of streams, each by its primary key: as a join Postgres would
// read all rows of the build while it has no statistics of them. Bind: $1 build, $2
// categories, $3 ids, $4 source.
const seenSQL = `
select u.category, u.stream_id, s.version
from unnest($2::text[], $3::text[]) u (category, stream_id)
cross join lateral (
    select version from {asof}.dedup s
    where s.build = $1 and s.category = u.category and s.stream_id = u.stream_id and s.source = $4 offset 0) s`

// queueSeen reads what is applied of the streams of a work.
func (a *Applier) queueSeen(batch *pgx.Batch, b books.Build, w *Work, seen Versions) {
	if len(w.Events) == 0 || b.Kind == books.KindLog || w.parked != nil {
		return
	}
	streams := streamsOf(w.Events)
	categories, ids := make([]string, len(streams)), make([]string, len(streams))
	for i, s := range streams {
		categories[i], ids[i] = s.Category, s.ID
	}
	batch.Queue(table.PlannedSQL)
	batch.Queue(a.Books.SQL(seenSQL), b.ID, categories, ids, w.Source).Query(seen.collect)
}

// collect takes the rows of seenSQL.
func (seen Versions) collect(rows pgx.Rows) error {
	var s es.StreamID
	var v int64
	_, err := pgx.ForEachRow(rows, []any{&s.Category, &s.ID, &v}, func() error {
		seen[s] = es.Version(v)
		return nil
	})
	return err
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
func (a *Applier) admit(ctx context.Context, from access, d *draft) ([]es.RecordedEvent, error) {
	b, w := d.b, &d.w
	switch {
	case w.parked != nil:
		return w.Events, nil
	case b.Kind == books.KindKafka:
		return a.admitVersions(ctx, from, w.Events, d.seen)
	case b.Kind == books.KindTopic:
		return a.admitStreams(w, d), nil
	}
	todo := make([]es.RecordedEvent, 0, len(w.Events))
	for i := range w.Events {
		if e := &w.Events[i]; e.Position > b.Position && a.Def.Wants(e.Stream.Category) {
			todo = append(todo, *e)
		}
	}
	return todo, nil
}

// admitVersions goes by the versions of each stream, and fills gaps from the log. It
// raises seen.
func (a *Applier) admitVersions(ctx context.Context, from access, events []es.RecordedEvent, seen Versions) ([]es.RecordedEvent, error) {
	todo := make([]es.RecordedEvent, 0, len(events))
	for i := range events {
		e := &events[i]
		last := seen[e.Stream]
		if e.Version <= last || !a.Def.Wants(e.Stream.Category) {
			continue
		}
		if e.Version > last+1 {
			missing, err := missing(ctx, from, e.Stream, last+1, e.Version-1)
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

// missing reads a gap from the log.
func missing(ctx context.Context, log access, s es.StreamID, from, to es.Version) ([]es.RecordedEvent, error) {
	var list []es.RecordedEvent
	for e, err := range log.stream(ctx, s, from) {
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

// writeSeen writes what is applied of streams now, where it is not what was found before.
func (a *Applier) writeSeen(ctx context.Context, conn *pgx.Conn, b books.Build, w *Work, before, seen Versions, out *pgx.Batch) error {
	if b.Kind == books.KindLog || w.parked != nil {
		return nil
	}
	out.Queue(table.PlannedSQL)
	var changed, added seenRows
	for s, v := range seen {
		switch old, had := before[s]; {
		case had && old == v:
		case had:
			changed.add(s, old, v)
		default:
			added.add(s, 0, v)
		}
	}
	switch {
	case w.Bulk && len(added.versions) > 0:
		if err := a.copySeen(ctx, conn, b, w, added); err != nil {
			return err
		}
	case a.lanes(b, w) != nil:
		a.queueSeenOfLanes(out, b, w, changed, added)
		return nil
	default:
		changed = changed.with(added)
	}
	if len(changed.versions) > 0 {
		out.Queue(a.Books.SQL(saveSeenSQL), b.ID, changed.categories, changed.ids, changed.versions, w.Source)
	}
	return nil
}

// seenRows are dedup rows as columns.
type seenRows struct {
	categories, ids  []string
	before, versions []int64
}

func (r *seenRows) add(s es.StreamID, before, version es.Version) {
	r.categories, r.ids = append(r.categories, s.Category), append(r.ids, s.ID)
	r.before, r.versions = append(r.before, int64(before)), append(r.versions, int64(version))
}

func (r seenRows) with(more seenRows) seenRows {
	return seenRows{append(r.categories, more.categories...), append(r.ids, more.ids...), append(r.before, more.before...), append(r.versions, more.versions...)}
}

// copySeen writes the rows of streams that are new.
func (a *Applier) copySeen(ctx context.Context, conn *pgx.Conn, b books.Build, w *Work, added seenRows) error {
	rows := make([][]any, len(added.ids))
	for i := range added.ids {
		rows[i] = []any{b.ID, added.categories[i], added.ids[i], added.versions[i], w.Source}
	}
	_, err := conn.CopyFrom(ctx, pgx.Identifier{a.Books.Schema(), "dedup"}, []string{"build", "category", "stream_id", "version", "source"}, pgx.CopyFromRows(rows))
	return err
}
