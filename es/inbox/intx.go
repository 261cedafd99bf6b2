package inbox

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es/kafka"
)

// Outcome is what the note of a message has come to.
type Outcome int

// What is to be done with a message.
const (
	undecided Outcome = iota
	Fresh             // react to it
	Repeated          // nothing: the consumer has had it
	Late              // nothing: it is of a life that its store has left: see Accept
)

// NoteInTx notes a message in the caller's transaction, read committed, as what is
// committed with it, and says what is to be done. While another transaction has noted
// the message and is still open, it waits for that. It is what package reactions stands
// on, and does not count. A message of a life that was not accepted is an
// [AnotherLifeError].
func (i *Inbox) NoteInTx(ctx context.Context, tx pgx.Tx, m *message.Message) (Outcome, error) {
	if i.refused != nil {
		return undecided, i.refused
	}
	d, err := deliveryOf(m)
	if err != nil {
		return undecided, err
	}
	return i.note(ctx, tx, d)
}

// forgetSQL takes a note back. Bind: $1 consumer, $2 message id.
const forgetSQL = `delete from {asof}.inbox where consumer = $1 and message_id = $2`

// ForgetInTx takes the note of a message back in the caller's transaction, so that the
// message can be noted again there: for who has set it aside, and takes it up.
func (i *Inbox) ForgetInTx(ctx context.Context, tx pgx.Tx, m *message.Message) error {
	if i.refused != nil {
		return i.refused
	}
	_, err := tx.Exec(ctx, i.q(forgetSQL), i.consumer, IDOf(m))
	return err
}

// renewSQL notes a message, or that it was had now. Bind: $1 consumer, $2 message id.
const renewSQL = `
insert into {asof}.inbox (consumer, message_id) values ($1, $2)
on conflict (consumer, message_id) do update set received_at = clock_timestamp()`

// RenewInTx notes a message in the caller's transaction, or that it was had just now,
// from when on [WithRetention] counts, and reacts to nothing: for who has set it aside,
// and leaves it out.
func (i *Inbox) RenewInTx(ctx context.Context, tx pgx.Tx, messageID string) error {
	if i.refused != nil {
		return i.refused
	}
	_, err := tx.Exec(ctx, i.q(renewSQL), i.consumer, messageID)
	return err
}

// IDOf returns the id by which a message is noted.
func IDOf(m *message.Message) string { return stored(kafka.MessageID(m)) }
