package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/es"
)

const (
	// lostSQL tells why an append did nothing: the stream's version, where the sequence
	// is, and where the log. The sequence is read when the statement runs, so it is at
	// or above all that the statement's snapshot sees, unless it was set back. Bind: $1
	// category, $2 stream id.
	lostSQL = `
select (select coalesce(max(version), 0) from {asof}.events where category = $1 and stream_id = $2),
       coalesce(pg_sequence_last_value({sequence}), 0), (select coalesce(max(position), 0) from {asof}.events)`

	// againSQL reads the events that have the append's ids. Bind: $1 event ids.
	againSQL = `select ` + columnsSQL + ` from {asof}.events where event_id = any($1::uuid[]) order by category, stream_id, version`
)

// lost tells why nothing was appended, outside of the hot path: an append that is made
// again returns what the first one recorded; errLostRace means that it may be tried
// again.
func (a *appender) lost(ctx context.Context) ([]es.RecordedEvent, error) {
	ids := make([]pgtype.UUID, len(a.events))
	for i := range a.events {
		ids[i] = pgtype.UUID{Bytes: a.events[i].ID, Valid: true}
	}
	var got, drawn, head int64
	var found []es.RecordedEvent
	batch := &pgx.Batch{}
	batch.Queue(a.store.sql.lost, a.stream.Category, a.stream.ID).QueryRow(func(row pgx.Row) error { return row.Scan(&got, &drawn, &head) })
	batch.Queue(a.store.sql.again, ids).Query(func(rows pgx.Rows) (err error) {
		found, _, err = collect(rows, es.MaxBatchBytes+pageBytes)
		return err
	})
	if err := a.db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, explain("append to "+a.stream.String(), err)
	}
	switch {
	case len(found) > 0:
		return a.again(found)
	case drawn < head:
		a.store.checked.Store(false) // a subscription may have come since
		if err := a.store.ready(ctx, a.db); err != nil {
			return nil, err
		}
		return nil, a.store.behind(es.Position(drawn), es.Position(head))
	case a.want.Matches(es.Version(got)): // it became true since
		return nil, errLostRace
	}
	return nil, &es.ConflictError{Stream: a.stream, Want: a.want, Got: es.Version(got)}
}

// again returns what the first append of these events has recorded: they stand in its
// stream, one behind the other in its order. Anything else is another use of an id.
func (a *appender) again(found []es.RecordedEvent) ([]es.RecordedEvent, error) {
	for i := range found {
		f := &found[i]
		there := len(found) == len(a.events) && f.ID == a.events[i].ID && f.Stream == a.stream && f.Version == found[0].Version+es.Version(i)
		if !there {
			return nil, fmt.Errorf("pgstore: append to %s: %w: %s is version %d of %s: give each event an id of its own",
				a.stream, es.ErrDuplicateID, f.ID, f.Version, f.Stream)
		}
		if what := a.events[i].Differs(f); what != "" {
			return nil, fmt.Errorf("pgstore: append to %s: %w: %s was recorded with another %s: give each event an id of its own",
				a.stream, es.ErrDuplicateID, f.ID, what)
		}
	}
	return found, nil
}
