package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/mapping"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

// What a mapping cannot publish holds up what comes after it in its stream, and nothing else:
// the checkpoint means that all before it is published or held. One row is enough for each
// mapping and stream, since the log has the rest. The relay tries again by itself, in order.

// ErrTooManyHeld: mappings could not publish events of more streams than [WithHeld] allows. The
// program is wrong rather than some events: correct it.
var ErrTooManyHeld = errors.New("outbox: mappings hold too many streams")

// Held is a stream of which a mapping could not publish an event.
type Held struct {
	Mapping  string
	Event    es.Recorded // the first that is not published: ID, Type, Stream, Version and Position
	Error    string
	Attempts int
	First    time.Time // when it was held
	Last     time.Time // when it was tried last
}

// heldSQL lists what is held. Bind: nothing.
const heldSQL = `
select mapping, event_id, type, category, stream_id, version, position, error, attempts, first_at, last_at
from {asof}.held order by position, mapping`

// ListHeld lists what mappings hold, by position.
func ListHeld(ctx context.Context, store *pgstore.Store) ([]Held, error) {
	rows, err := store.Pool().Query(ctx, expand(heldSQL, store))
	if err != nil {
		return nil, explain("list what is held", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Held, err error) {
		e := &h.Event
		err = row.Scan(&h.Mapping, (*[16]byte)(&e.ID), &e.Type, &e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version), (*int64)(&e.Position), &h.Error, &h.Attempts, &h.First, &h.Last)
		return h, err
	})
	return list, explain("list what is held", err)
}

// ErrNotHeld: the mapping does not hold the stream at that event.
var ErrNotHeld = errors.New("outbox: not held")

// skipHeldSQL moves a held stream on by an event. Bind: $1 mapping, $2 event id.
const skipHeldSQL = `
update {asof}.held set version = version + 1, attempts = 0, error = 'the event before it was skipped; it is to be tried',
    event_id = coalesce((select event_id from {asof}.events e where e.category = held.category and e.stream_id = held.stream_id and e.version = held.version + 1), event_id),
    position = coalesce((select position from {asof}.events e where e.category = held.category and e.stream_id = held.stream_id and e.version = held.version + 1), position)
where mapping = $1 and event_id = $2
  and exists (select from {asof}.events e where e.event_id = $2 and e.version = held.version)`

// SkipHeld leaves out an event that a mapping cannot publish: consumers never get it from that
// topic, and those of a topic that is not sparse wait for it. What waits behind it is
// published by the relay.
func SkipHeld(ctx context.Context, store *pgstore.Store, mapping string, event uuid.UUID) error {
	tag, err := store.Pool().Exec(ctx, expand(skipHeldSQL, store), mapping, event)
	if err != nil {
		return explain("skip an event", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%w: mapping %s does not hold a stream at event %s", ErrNotHeld, mapping, event)
	}
	return nil
}

const (
	// holdSQL holds a stream, by who has the lease. Bind: $1 to $3 as held; $4 mapping, $5
	// category, $6 stream, $7 version, $8 position, $9 event id, $10 type, $11 error.
	holdSQL = `
insert into {asof}.held (mapping, category, stream_id, version, position, event_id, type, error)
select $4, $5, $6, $7, $8, $9, $10, $11 from {asof}.relay where ` + held + `
on conflict (mapping, category, stream_id) do update set last_at = excluded.last_at`

	// triedSQL notes how far a held stream is published now, and why no further, unless somebody
	// has moved it on meanwhile. Bind: as holdSQL, $12 the version that it was held at.
	triedSQL = `
update {asof}.held set version = $7, position = $8, event_id = $9, type = $10, error = $11, last_at = clock_timestamp(),
    attempts = case when held.event_id = $9 then attempts + 1 else 1 end
where mapping = $4 and category = $5 and stream_id = $6 and version = $12 and exists (select from {asof}.relay where ` + held + `)`

	// freeSQL ends the holding of a stream, of which all is published. Bind: $1 to $3 as held;
	// $4 mapping, $5 category, $6 stream.
	freeSQL = `
delete from {asof}.held where mapping = $4 and category = $5 and stream_id = $6 and exists (select from {asof}.relay where ` + held + `)`
)

// holding is what the reader of a term knows of what is held.
type holding struct {
	term  *term
	from  map[heldKey]Held
	tried time.Time // when all of it was tried last
}

type heldKey struct {
	mapping string
	stream  es.StreamID
}

func (h Held) key() heldKey { return heldKey{h.Mapping, h.Event.Stream} }

// load reads what is held from the books.
func (h *holding) load(ctx context.Context) error {
	list, err := ListHeld(ctx, h.term.relay.store)
	if err != nil {
		return err
	}
	h.from = make(map[heldKey]Held, len(list))
	for _, one := range list {
		h.from[one.key()] = one
	}
	return nil
}

// has reports an event that waits behind one that could not be published.
func (h *holding) has(m mapping.Mapping, e *es.RecordedEvent) bool {
	if len(h.from) == 0 {
		return false
	}
	_, ok := h.from[heldKey{m.Name(), e.Stream}]
	return ok
}

// known is how many streams the mappings of this program hold.
func (h *holding) known() (n int) {
	for key := range h.from {
		if _, ok := h.term.relay.mappingOf(key); ok {
			n++
		}
	}
	return n
}

// tellUnknown says of which mappings there are streams that this program does not have.
func (h *holding) tellUnknown(ctx context.Context) {
	told := map[string]bool{}
	for key := range h.from {
		if _, ok := h.term.relay.mappingOf(key); !ok && !told[key.mapping] {
			told[key.mapping] = true
			h.term.relay.logger.WarnContext(ctx, "a mapping that this program does not have holds streams, which nobody tries again: was it renamed?", "mapping", key.mapping)
		}
	}
}

// hold notes what could not be published, before the checkpoint passes it.
func (h *holding) hold(ctx context.Context, m mapping.Mapping, e *es.RecordedEvent, why error) error {
	one := Held{Mapping: m.Name(), Event: e.Recorded, Error: why.Error()}
	if n := h.known() + 1; n > h.term.relay.mostHeld {
		return fmt.Errorf("%w: %d streams, and %d is the most (WithHeld): %w", ErrTooManyHeld, n, h.term.relay.mostHeld, why)
	}
	written, err := h.write(ctx, "hold a stream", holdSQL, one)
	if err != nil {
		return err
	}
	if !written {
		return fmt.Errorf("%w: hold a stream: another relay has taken it, or a repair has ended it", errFenced)
	}
	h.from[one.key()] = one
	h.term.relay.logger.ErrorContext(ctx, "an event cannot be published; what comes after it in its stream waits, the rest goes on", "mapping", m.Name(), "event", e.ID, "stream", e.Stream, "version", e.Version, "error", why)
	return nil
}

// write runs a statement that does nothing when the lease is another's, and reports whether it
// did something.
func (h *holding) write(ctx context.Context, what, sql string, one Held, more ...any) (bool, error) {
	l, e := h.term.lease, one.Event
	args := append([]any{
		l.epoch, l.leader, l.life,
		one.Mapping, e.Stream.Category, e.Stream.ID, int64(e.Version), int64(e.Position), e.ID, e.Type, pg.Storable(one.Error),
	}, more...)
	tag, err := l.relay.store.Pool().Exec(ctx, l.relay.sql(sql), args...)
	if err != nil {
		return false, explain(what, err)
	}
	return tag.RowsAffected() > 0, nil
}

// free forgets a stream of which all is published.
func (h *holding) free(ctx context.Context, key heldKey) error {
	l := h.term.lease
	_, err := l.relay.store.Pool().Exec(ctx, l.relay.sql(freeSQL), l.epoch, l.leader, l.life, key.mapping, key.stream.Category, key.stream.ID)
	delete(h.from, key)
	return explain("free a stream", err)
}
