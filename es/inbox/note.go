package inbox

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// delivery is what is noted of a message.
type delivery struct {
	id       string
	lived    bool // it says which life of its store it is of
	source   string
	life     uuid.UUID
	position es.Position // zero: not known
}

func deliveryOf(m *message.Message) (delivery, error) {
	source := m.Metadata[headerSource]
	if m.UUID == "" && m.Metadata[kafka.MetadataTopic] == "" && (source == "" || m.Metadata[headerID] == "") {
		return delivery{}, fmt.Errorf("inbox: %w: nothing tells this message from others: it has no UUID, no source and id, and no topic", es.ErrInvalid)
	}
	d := delivery{id: IDOf(m), source: source}
	d.life, d.lived = kafka.LifeOf(m)
	if position, err := strconv.ParseInt(m.Metadata[headerPosition], 10, 64); err == nil {
		d.position = es.Position(position)
	}
	return d, nil
}

const (
	// insertSQL notes a message. While another transaction has noted it and is still
	// open, this waits, and inserts if that one is rolled back. Bind: $1 consumer, $2
	// message id. No row: the message was had before.
	insertSQL = `insert into {asof}.inbox (consumer, message_id) values ($1, $2) on conflict do nothing`

	// insertLivedSQL is that for a message of a life, and tells in the same round trip
	// what the consumer knows of the life, whichever process accepted it. Bind: $3
	// source, $4 life, $5 position. Fresh: it is noted now. Current: the life that the
	// consumer is in; null: it has met none. Holds: whether what the message says still
	// holds; null: its life was never met.
	insertLivedSQL = `
with known as (
    select life, kept from {asof}.inbox_lives where consumer = $1 and source = $3
), noted as (
    insert into {asof}.inbox (consumer, message_id)
    select $1, $2 from known where life = $4::uuid and (kept is null or $5::bigint between 1 and kept)
    on conflict do nothing
    returning 1
)
select exists (select from noted) as fresh,
       (select life::text from known where kept is null) as current,
       (select kept is null or $5::bigint between 1 and kept from known where life = $4::uuid) as holds`

	// meetSQL writes the life that a consumer meets first. While another transaction
	// does and is still open, this waits. Bind: $1 consumer, $2 source, $3 life.
	meetSQL = `insert into {asof}.inbox_lives (consumer, source, life) values ($1, $2, $3::uuid) on conflict do nothing`
)

// note notes a message in the reaction's transaction, and says what is to be done.
func (i *Inbox) note(ctx context.Context, tx pgx.Tx, d delivery) (Outcome, error) {
	if !d.lived {
		tag, err := tx.Exec(ctx, i.q(insertSQL), i.consumer, d.id)
		return freshOr(tag.RowsAffected() == 1, Repeated), err
	}
	for met := false; ; met = true {
		var fresh bool
		var current *string
		var holds *bool
		err := tx.QueryRow(ctx, i.q(insertLivedSQL), i.consumer, d.id, stored(d.source), d.life.String(), int64(d.position)).Scan(&fresh, &current, &holds)
		switch {
		case err != nil:
			return undecided, err
		case holds != nil && *holds:
			return freshOr(fresh, Repeated), nil
		case holds != nil:
			return Late, nil
		case current != nil || met:
			return undecided, i.another(d, current)
		}
		if _, err := tx.Exec(ctx, i.q(meetSQL), i.consumer, stored(d.source), d.life.String()); err != nil {
			return undecided, err
		}
	}
}

func freshOr(fresh bool, other Outcome) Outcome {
	if fresh {
		return Fresh
	}
	return other
}

// another is the refusal of a message of another life than the current one.
func (i *Inbox) another(d delivery, current *string) error {
	e := &AnotherLifeError{Consumer: i.consumer, Source: d.source, Life: d.life}
	if current != nil {
		e.Known, _ = uuid.Parse(*current)
	}
	return e
}
