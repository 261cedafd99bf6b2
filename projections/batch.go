package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
)

// work is what one transaction does to a build.
type work struct {
	events   []es.RecordedEvent // in order within each stream
	read     int64              // events of the log that position moved over
	position es.Position        // every event up to here is then applied; zero leaves it
	offset   *offset            // of Kafka
	bulk     bool
}

// offset is how far a partition is read.
type offset struct {
	topic     string
	partition int
	next      int64
	position  es.Position
}

// lockSQL takes the build's turn, if it is still what the caller thinks. Bind: $1
// build, $2 status, $3 epoch.
const lockSQL = `select ` + buildColumns + ` from {asof}.projection_builds where id = $1 and status = $2 and epoch = $3 for update`

// lockPathSQL is searchPathSQL for the build that is locked. Bind: $1 build.
const lockPathSQL = `
select set_config('search_path', concat_ws(', ', quote_ident(schema_name), nullif(current_setting('search_path'), '')), true),
       set_config('idle_in_transaction_session_timeout', $2, true)
from {asof}.projection_builds where id = $1`

// idle is how long a process may stand still in a batch before the database ends its
// session, so that one that hangs does not hold up the others.
const idle = time.Minute

// seenSQL reads the dedup rows of streams. Bind: $1 build, $2 categories, $3 ids.
const seenSQL = `
select s.category, s.stream_id, s.version
from unnest($2::text[], $3::text[]) u (category, stream_id)
join {asof}.projection_streams s on s.build = $1 and s.category = u.category and s.stream_id = u.stream_id`

// commit applies work to a build in one transaction and returns the build as it is
// then. The row lock on the build makes it one at a time; a build that was switched
// or taken over meanwhile gives errFenced, and nothing is written.
func (p *Projector) commit(ctx context.Context, b build, w work) (build, error) {
	err := pgx.BeginTxFunc(ctx, p.store.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		locked, seen, err := p.lock(ctx, tx, b, w.events)
		if err != nil {
			return err
		}
		b = locked
		return p.applyLocked(ctx, tx, &b, w, seen)
	})
	if err != nil {
		return b, wrap("apply a batch", err)
	}
	p.done.Add(1)
	return b, nil
}

// wrap explains errors that do not speak for themselves yet.
func wrap(what string, err error) error {
	var event *EventError
	if errors.As(err, &event) || errors.Is(err, errFenced) || errors.Is(err, ErrInvalid) {
		return err
	}
	return explain(what, err)
}

// versions is the dedup rows of a batch.
type versions map[es.StreamID]es.Version

// lock takes the build's row, sets the search path and reads the dedup rows, in one
// round trip. Each statement has a snapshot of its own, so the rows are those that
// the last holder of the lock left.
func (p *Projector) lock(ctx context.Context, tx pgx.Tx, b build, events []es.RecordedEvent) (build, versions, error) {
	seen := versions{}
	var locked []build
	batch := &pgx.Batch{}
	batch.Queue(p.q(lockSQL), b.ID, b.Status, b.Epoch).Query(func(rows pgx.Rows) (err error) {
		locked, err = pgx.CollectRows(rows, scanBuild)
		return err
	})
	batch.Queue(p.q(lockPathSQL), b.ID, fmt.Sprintf("%dms", idle.Milliseconds()))
	p.queueSeen(batch, b, events, seen)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return b, nil, err
	}
	if len(locked) == 0 {
		return b, nil, fmt.Errorf("%w: %s version %d, build %d", errFenced, b.Name, b.Version, b.ID)
	}
	return locked[0], seen, nil
}

func (p *Projector) queueSeen(batch *pgx.Batch, b build, events []es.RecordedEvent, seen versions) {
	if len(events) == 0 || b.target(false).fresh {
		return
	}
	streams := streamsOf(events)
	categories, ids := make([]string, len(streams)), make([]string, len(streams))
	for i, s := range streams {
		categories[i], ids[i] = s.Category, s.ID
	}
	batch.Queue(p.q(seenSQL), b.ID, categories, ids).Query(func(rows pgx.Rows) error {
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

// applyLocked does the work inside the transaction that holds the build's lock, and
// changes b as the row is changed.
func (p *Projector) applyLocked(ctx context.Context, tx pgx.Tx, b *build, w work, seen versions) error {
	before := make(versions, len(seen))
	for s, v := range seen {
		before[s] = v
	}
	if w.offset == nil && w.position > 0 && w.position <= b.Position {
		return nil // another process did all of it
	}
	todo, err := p.admit(ctx, tx, w.events, seen)
	if err != nil {
		return err
	}
	out := &pgx.Batch{}
	var skipped int64
	if len(todo) > 0 {
		a, err := p.bind(ctx, tx, *b)
		if err != nil {
			return err
		}
		if skipped, err = a.apply(ctx, tx, b.target(w.bulk), todo, out); err != nil {
			return err
		}
		if err := p.writeSeen(ctx, tx, *b, before, seen, w.bulk, out); err != nil {
			return err
		}
	}
	b.Position = max(b.Position, w.position)
	p.queueCheckpoint(out, *b, w, skipped)
	return tx.SendBatch(ctx, out).Close()
}

// admit drops events that were applied and fills gaps from the log. It raises seen.
func (p *Projector) admit(ctx context.Context, tx pgx.Tx, events []es.RecordedEvent, seen versions) ([]es.RecordedEvent, error) {
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

func (d *definition) wants(category string) bool {
	return len(d.categories) == 0 || slices.Contains(d.categories, category)
}

// saveSeenSQL writes dedup rows. Bind: $1 build, $2 categories, $3 ids, $4 versions.
const saveSeenSQL = `
insert into {asof}.projection_streams (build, category, stream_id, version)
select $1, * from unnest($2::text[], $3::text[], $4::bigint[])
on conflict (build, category, stream_id) do update set version = excluded.version`

func (p *Projector) writeSeen(ctx context.Context, tx pgx.Tx, b build, before, seen versions, bulk bool, out *pgx.Batch) error {
	var categories, ids []string
	var vs []int64
	var added [][]any
	for s, v := range seen {
		if old, had := before[s]; had && old == v {
			continue
		} else if !had && bulk {
			added = append(added, []any{b.ID, s.Category, s.ID, int64(v)})
			continue
		}
		categories, ids, vs = append(categories, s.Category), append(ids, s.ID), append(vs, int64(v))
	}
	if len(added) > 0 {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{p.store.Schema(), "projection_streams"}, []string{"build", "category", "stream_id", "version"}, pgx.CopyFromRows(added))
		if err != nil {
			return err
		}
	}
	if len(vs) > 0 {
		out.Queue(p.q(saveSeenSQL), b.ID, categories, ids, vs)
	}
	return nil
}

// checkpointSQL moves the build on, if it is still what was locked. Bind: $1 build,
// $2 status, $3 epoch, $4 position, $5 events read, $6 skipped.
const checkpointSQL = `
update {asof}.projection_builds
set position = greatest(position, $4), events = events + $5, skipped = skipped + $6, failure = null, updated_at = clock_timestamp(),
    lease_until = case when status = 'building' then clock_timestamp() + interval '30 seconds' end
where id = $1 and status = $2 and epoch = $3`

// offsetSQL moves a partition on. Bind: $1 build, $2 topic, $3 partition, $4 next
// offset, $5 position.
const offsetSQL = `
insert into {asof}.projection_partitions as p (build, topic, partition, next_offset, position) values ($1, $2, $3, $4, $5)
on conflict (build, topic, partition) do update set next_offset = excluded.next_offset, position = greatest(p.position, excluded.position)`

func (p *Projector) queueCheckpoint(out *pgx.Batch, b build, w work, skipped int64) {
	out.Queue(p.q(checkpointSQL), b.ID, b.Status, b.Epoch, int64(b.Position), w.read, skipped).
		Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() != 1 {
				return fmt.Errorf("%w: %s version %d, build %d", errFenced, b.Name, b.Version, b.ID)
			}
			return nil
		})
	if o := w.offset; o != nil {
		out.Queue(p.q(offsetSQL), b.ID, o.topic, o.partition, o.next, int64(o.position))
	}
}
