package reactions

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/pg"
)

const (
	// lockSQL lets one transaction at a time unpark of a sequence, or park behind it. Held
	// to the end of the transaction. Bind: $1 reaction, $2 sequence.
	lockSQL = `select pg_advisory_xact_lock('{asof}.parked_messages'::regclass::oid::int, hashtext($1::text || '/' || $2::text))`

	// numberSQL gives a message its number. One transaction at a time has it, to the end,
	// and so counts what is parked and adds to it. It is asked for under the lock of a
	// sequence, and nothing is waited for after it. Bind: $1 reaction.
	numberSQL = `
insert into {asof}.parked_numbers as n (reaction, last) values ($1, 1)
on conflict (reaction) do update set last = n.last + 1 returning last`

	// waitsSQL asks by the index of sequences. Bind: $1 reaction, $2 sequence.
	waitsSQL = `select exists (select from {asof}.parked_messages where reaction = $1 and sequence = $2)`

	// countSQL: bind $1 reaction.
	countSQL = `select count(*) from {asof}.parked_messages where reaction = $1`

	// insertSQL parks a message, unless it is: its note in the inbox may have been pruned
	// before it came again.
	insertSQL = `
insert into {asof}.parked_messages (reaction, id, message_id, sequence, topic, topic_id, partition, "offset", time_ms,
    key, value, headers, event_id, category, stream_id, type, error, attempts)
values ($1, $18::bigint, $2, $3, $4, $5::uuid, $6::int, $7::bigint, $8::bigint, $9::bytea, $10::bytea, $11::bytea[], $12::uuid, $13::text, $14::text, $15, $16::text, $17::int)
on conflict (reaction, message_id) do nothing`
)

// lock waits for whoever unparks of the sequence, or parks behind it.
func (r *Reactor) lock(ctx context.Context, tx pgx.Tx, sequence string) error {
	_, err := tx.Exec(ctx, r.q(lockSQL), r.name, sequence)
	return err
}

// waits reports whether something of the sequence is parked. Only who finds something
// waits for the lock, and looks again.
func (r *Reactor) waits(ctx context.Context, tx pgx.Tx, sequence string) (waits bool, err error) {
	if err := tx.QueryRow(ctx, r.q(waitsSQL), r.name, sequence).Scan(&waits); err != nil || !waits {
		return false, err
	}
	if err := r.lock(ctx, tx, sequence); err != nil {
		return false, err
	}
	err = tx.QueryRow(ctx, r.q(waitsSQL), r.name, sequence).Scan(&waits)
	return waits, err
}

// insert parks a message that the transaction has noted, under its sequence's lock. Why
// is nil for one that waits behind another.
func (r *Reactor) insert(ctx context.Context, tx pgx.Tx, d *delivery, why error, attempts int) error {
	var number int64
	if err := tx.QueryRow(ctx, r.q(numberSQL), r.name).Scan(&number); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(ctx, r.q(countSQL), r.name).Scan(&n); err != nil {
		return err
	}
	if n >= r.most {
		return &TooManyParkedError{Reaction: r.name, Most: r.most, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Err: why}
	}
	p := d.people()
	_, err := tx.Exec(ctx, r.q(insertSQL), r.name, d.id, d.sequence, d.Topic, given(d.topicID), d.Partition, d.Offset, d.Time.UnixMilli(),
		d.Key, d.Value, flat(d.Headers), given(p.event), p.category, p.stream, p.kind, reason(why), attempts, number)
	return err
}

// people is what tells people which message it is.
type people struct {
	event            uuid.UUID
	category, stream *string
	kind             string // ce_type
}

func (d *delivery) people() people {
	p := people{kind: pg.Storable(fmt.Sprintf("%.256s", d.read.Metadata[headerType]))}
	if _, category, id, ok := d.stream(); ok {
		category, id = pg.Storable(category), pg.Storable(id)
		p.category, p.stream = &category, &id
	}
	if e, err := inbox.Read(d.read); err == nil {
		p.event = e.ID
	}
	return p
}

// given is an id as a parameter that may be null.
func given(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	text := id.String()
	return &text
}

// maxReason bounds what is stored of an error, in bytes.
const maxReason = 8 << 10

func reason(why error) *string {
	if why == nil {
		return nil
	}
	text := pg.Storable(fmt.Sprintf("%.*s", maxReason, why.Error()))
	return &text
}

func flat(headers []kafka.Header) [][]byte {
	list := make([][]byte, 0, 2*len(headers))
	for _, h := range headers {
		list = append(list, []byte(h.Key), h.Value)
	}
	return list
}

// unflat is the reverse of flat.
func unflat(list [][]byte) []kafka.Header {
	headers := make([]kafka.Header, 0, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		headers = append(headers, kafka.Header{Key: string(list[i]), Value: list[i+1]})
	}
	return headers
}

// headSQL reads what is first in a sequence, whole. Bind: $1 reaction, $2 sequence.
const headSQL = `
select id, topic, topic_id::text, partition, "offset", time_ms, key, value, headers
from {asof}.parked_messages where reaction = $1 and sequence = $2 order by id limit 1`

// head returns the message that a sequence begins with; nil when nothing of it is parked.
func (r *Reactor) head(ctx context.Context, db pg.Querier, sequence string) (number int64, d *delivery, err error) {
	var m kafka.Message
	var topicID *string
	var ms int64
	var headers [][]byte
	rows, err := db.Query(ctx, r.q(headSQL), r.name, sequence)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return 0, nil, rows.Err()
	}
	if err := rows.Scan(&number, &m.Topic, &topicID, &m.Partition, &m.Offset, &ms, &m.Key, &m.Value, &headers); err != nil {
		return 0, nil, err
	}
	m.Time, m.Headers = time.UnixMilli(ms).UTC(), unflat(headers)
	var id uuid.UUID
	if topicID != nil {
		if id, err = uuid.Parse(*topicID); err != nil {
			return 0, nil, err
		}
	}
	return number, r.delivery(m, id), nil
}
