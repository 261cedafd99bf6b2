package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// A database that is put back to a backup has the checkpoint of then, which fits its log.
// So a Run remembers what it has seen itself, in its own terms and while it waits for
// others, and looks whether the log still has it.

const (
	// rowColumns are those of a row of the relay.
	rowColumns = `position, event_id, life, updated_at, coalesce(failure, '')`

	// rowSQL is the row as it is now. Bind: nothing.
	rowSQL = `select ` + rowColumns + ` from {asof}.relay`

	// refuseSQL leaves behind that the log was put back: a relay that starts anew cannot
	// see it. Whoever has the lease loses it. A checkpoint that was written later than
	// the one that is known here, as by a repair, stays as it is. Bind: $1 life, $2 when
	// the known checkpoint was written, $3 life of no store, $4 failure.
	refuseSQL = `
update {asof}.relay set life = $3, leader = null, lease_until = null, failure = $4, failed_at = clock_timestamp()
where life = $1 and updated_at <= $2 and ` + withoutStandbys
)

// noLife stands for the life of a log that was put back and not repaired.
func noLife() uuid.UUID { return uuid.Max }

// row is the checkpoint in the database.
type row struct {
	at      es.Checkpoint
	written time.Time // by the database's clock
	failure string
}

// reason is what the row has to say after an error: what it says already, when that is
// the error.
func (r *row) reason(err error) error {
	if r.at.Life == noLife() {
		return errors.New(r.failure)
	}
	return err
}

func (r *row) scan(from pgx.Row, before ...any) error {
	var event, life *uuid.UUID
	err := from.Scan(append(before, (*int64)(&r.at.Position), &event, &life, &r.written, &r.failure)...)
	if event != nil {
		r.at.EventID = *event
	}
	if life != nil {
		r.at.Life = *life
	}
	return err
}

// sight is the newest place in the log that a Run knows to have been there.
type sight struct {
	relay   *Relay
	at      es.Checkpoint
	written time.Time // when the checkpoint was that belongs to it
}

// look reads the row while another relay has the lease.
func (s *sight) look(ctx context.Context) error {
	var now row
	err := now.scan(s.relay.store.Pool().QueryRow(ctx, s.relay.sql(rowSQL)))
	if errors.Is(err, pgx.ErrNoRows) {
		return lostRow("relay")
	}
	if err != nil {
		return explain("look at the checkpoint", err)
	}
	if now.written.Equal(s.written) {
		return nil
	}
	return s.compare(ctx, &now)
}

// compare takes a row that is newer than what was seen for what is there now. Before an
// older one it asks the log.
func (s *sight) compare(ctx context.Context, now *row) error {
	if now.at.Life == noLife() {
		return fmt.Errorf("%w: a relay has found that the log was put back, and it was not repaired since: %s", ErrRestored, now.failure)
	}
	if now.at.Life == s.at.Life && !now.written.After(s.written) {
		err := s.relay.store.Verify(ctx, s.at)
		if errors.Is(err, ErrRestored) {
			err = fmt.Errorf("outbox: %w", err)
			return errors.Join(err, s.relay.refuse(ctx, now.at.Life, now.written, err))
		}
		if err != nil {
			return explain("look at the log", err)
		}
	}
	s.at, s.written = now.at, now.written
	return nil
}

// refuse keeps relays away from this log until it is repaired.
func (r *Relay) refuse(ctx context.Context, life uuid.UUID, written time.Time, why error) error {
	_, err := r.store.Pool().Exec(ctx, r.sql(refuseSQL), life, written, noLife(), why.Error())
	return explain("refuse the log", err)
}
