package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// MaxLag is where Status stops counting.
const MaxLag = 100_000

// Status is how far the relay has got.
type Status struct {
	Position es.Position   // every event up to here is published, or held
	Lag      int64         // events after it, counted up to MaxLag
	Behind   time.Duration // how long the oldest of these has been in the log; zero when there is none
	Leader   string        // who holds the lease: host, process and a random part; empty when nobody does
	Epoch    int64         // of the lease; grows with every holder
	Held     int64         // streams of which a mapping could not publish an event: see ListHeld
	Failure  string        // what holds the relay up, since FailedAt; empty when it goes on
	FailedAt time.Time
}

// String returns the status as a line of text.
func (s Status) String() string {
	leader := s.Leader
	if leader == "" {
		leader = "no relay is active"
	}
	text := fmt.Sprintf("position %d, %d events and %s behind, epoch %d, %s", s.Position, s.Lag, s.Behind.Round(time.Millisecond), s.Epoch, leader)
	if s.Held > 0 {
		text += fmt.Sprintf(", %d streams held", s.Held)
	}
	if s.Failure != "" {
		text += ", failing since " + s.FailedAt.Format(time.RFC3339) + ": " + s.Failure
	}
	return text
}

// active says whether the lease holds. One that would last longer than its length is of
// before the clock was set back, and does not count; the length of one that an older
// program took is not known.
const active = `coalesce(lease_until > clock_timestamp() and (lease is null or lease_until <= clock_timestamp() + lease), false)`

// statusSQL counts along the primary key. Bind: $1 how many events to count.
const statusSQL = `
select position, epoch,
       case when ` + active + ` then coalesce(leader, '') else '' end,
       coalesce(failure, ''), coalesce(failed_at, 'epoch'),
       (select count(*) from (select from {asof}.events e where e.position > relay.position limit $1) as waiting),
       coalesce((select extract(epoch from clock_timestamp() - e.recorded_at) from {asof}.events e
                 where e.position > relay.position order by e.position limit 1), 0)::float8,
       (select count(*) from {asof}.held)
from {asof}.relay`

// ReadStatus reads the status from the database, whoever runs the relay.
func ReadStatus(ctx context.Context, store *pgstore.Store) (Status, error) {
	var s Status
	var behind float64
	err := store.Pool().QueryRow(ctx, expand(statusSQL, store), MaxLag).Scan(
		(*int64)(&s.Position), &s.Epoch, &s.Leader, &s.Failure, &s.FailedAt, &s.Lag, &behind, &s.Held)
	if errors.Is(err, pgx.ErrNoRows) {
		return Status{}, lostRow("relay")
	}
	if err != nil {
		return Status{}, explain("read the status", err)
	}
	s.Behind = max(0, time.Duration(behind*float64(time.Second)))
	if s.FailedAt = s.FailedAt.UTC(); s.Failure == "" {
		s.FailedAt = time.Time{}
	}
	return s, nil
}
