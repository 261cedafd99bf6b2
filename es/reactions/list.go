package reactions

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

// Parked is a message that a reaction has parked.
type Parked struct {
	Number    int64 // by which it is named
	Reaction  string
	MessageID string // in the inbox: see [kafka.MessageID]
	// Message is what came; without its value where several are listed.
	Message kafka.Message
	EventID uuid.UUID   // of an event of Asof's that can be read; else none
	Stream  es.StreamID // of an event of Asof's; else none
	Type    string      // of a CloudEvent; else empty
	// Error is what it failed with; empty when it was not tried, as it waits behind the
	// message whose number is Behind, which is zero for the first of a sequence.
	Error    string
	Behind   int64
	Attempts int
	First    time.Time // parked
	Last     time.Time // tried, or parked behind another

	sequence string
}

// Skipped is a message that a reaction leaves out.
type Skipped struct {
	Number    int64 // that it had
	Reaction  string
	MessageID string
	Topic     string
	Partition int
	Offset    int64
	EventID   uuid.UUID
	Stream    es.StreamID
	Type      string
	Reason    string
	At        time.Time
}

// parkedSQL lists by sequence, those that were parked first before the others. Bind: $1
// reactions, or null for all, $2 number, or null for all.
const parkedSQL = `
select * from (
    select id, reaction, message_id, sequence, topic, partition, "offset", time_ms, key, {value}, headers,
        coalesce(event_id::text, ''), coalesce(category, ''), coalesce(stream_id, ''), type, coalesce(error, ''),
        min(id) over (partition by reaction, sequence) as first, attempts, first_at, last_at
    from {asof}.parked_messages where $1::text[] is null or reaction = any($1::text[])
) parked
where $2::bigint is null or id = $2::bigint
order by reaction, first, id`

// ListParked lists what reactions have parked, all or those named, also of reactions that
// the program does not have: by sequence and in order, without the values of the messages.
func ListParked(ctx context.Context, store *pgstore.Store, names ...string) ([]Parked, error) {
	return listParked(ctx, store, `null::bytea`, names, nil)
}

// ShowParked returns a parked message with its value, by its number; [ErrNotParked] when
// the reaction has parked none of it.
func ShowParked(ctx context.Context, store *pgstore.Store, name string, number int64) (Parked, error) {
	return one(ctx, store, `value`, name, number)
}

// find is ShowParked without the value.
func (r *Reactor) find(ctx context.Context, number int64) (Parked, error) {
	return one(ctx, r.store, `null::bytea`, r.name, number)
}

func one(ctx context.Context, store *pgstore.Store, value, name string, number int64) (Parked, error) {
	list, err := listParked(ctx, store, value, []string{name}, &number)
	if err != nil {
		return Parked{}, err
	}
	if len(list) == 0 {
		return Parked{}, fmt.Errorf("%w: %s has parked no message %d: dead-letters list shows them", ErrNotParked, name, number)
	}
	return list[0], nil
}

func replace(sql, condition string) string { return strings.ReplaceAll(sql, "{where}", condition) }

func listParked(ctx context.Context, store *pgstore.Store, value string, names []string, number *int64) ([]Parked, error) {
	rows, err := store.Pool().Query(ctx, pg.Expand(store.Schema(), parkedSQL, "{value}", value), names, number)
	var list []Parked
	if err == nil {
		list, err = pgx.CollectRows(rows, scanParked)
	}
	if err != nil {
		return nil, pg.Explain("reactions", "list what is parked", err)
	}
	return list, nil
}

func scanParked(row pgx.CollectableRow) (p Parked, err error) {
	var ms, first int64
	var headers [][]byte
	var event string
	err = row.Scan(&p.Number, &p.Reaction, &p.MessageID, &p.sequence, &p.Message.Topic, &p.Message.Partition, &p.Message.Offset, &ms, &p.Message.Key, &p.Message.Value, &headers,
		&event, &p.Stream.Category, &p.Stream.ID, &p.Type, &p.Error, &first, &p.Attempts, &p.First, &p.Last)
	if err != nil {
		return p, err
	}
	p.Message.Time, p.Message.Headers = time.UnixMilli(ms).UTC(), unflat(headers)
	if p.EventID, err = uuidOf(event); err != nil {
		return p, err
	}
	if first < p.Number {
		p.Behind = first
	}
	return p, nil
}

// uuidOf reads what coalesce has made empty.
func uuidOf(text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	return uuid.Parse(text)
}

// Bind: $1 reactions, or null for all.
const skippedSQL = `
select id, reaction, message_id, topic, partition, "offset", coalesce(event_id::text, ''), coalesce(category, ''), coalesce(stream_id, ''), type, reason, skipped_at
from {asof}.skipped_messages where $1::text[] is null or reaction = any($1::text[]) order by reaction, id`

// ListSkipped lists what reactions leave out, all or those named, by number.
func ListSkipped(ctx context.Context, store *pgstore.Store, names ...string) ([]Skipped, error) {
	rows, err := store.Pool().Query(ctx, pg.Expand(store.Schema(), skippedSQL), names)
	var list []Skipped
	if err == nil {
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Skipped, err error) {
			var event string
			err = row.Scan(&s.Number, &s.Reaction, &s.MessageID, &s.Topic, &s.Partition, &s.Offset, &event, &s.Stream.Category, &s.Stream.ID, &s.Type, &s.Reason, &s.At)
			if err == nil {
				s.EventID, err = uuidOf(event)
			}
			return s, err
		})
	}
	if err != nil {
		return nil, pg.Explain("reactions", "list what is skipped", err)
	}
	return list, nil
}
