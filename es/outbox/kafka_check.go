package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// A database that was put back to a backup looks to a relay that is started after it
// like it did then: its checkpoint fits its log. But Kafka has what was published since.
// So before a term the newest message of each partition is held against the log: a
// message of this store, in this life, whose event the log does not have, was lost.

const (
	// topicsSQL lists the topics that a relay of this prefix has made. Bind: $1 prefix.
	topicsSQL = `select topic from {asof}.relay_topics where starts_with(topic, $1) order by topic`

	// lostSQL returns the first place in the arrays whose event the log does not have. Bind:
	// arrays of $1 positions, $2 event ids.
	lostSQL = `
select u.place - 1 from unnest($1::bigint[], $2::text[]) with ordinality u (position, id, place)
where not exists (select from {asof}.events e where e.position = u.position and e.event_id = u.id::uuid)
order by u.place limit 1`
)

// checkKafka refuses a log that does not have what was published from it.
func (t *term) checkKafka(ctx context.Context) error {
	pool := t.relay.store.Pool()
	rows, err := pool.Query(ctx, t.relay.sql(topicsSQL), t.relay.prefix)
	if err != nil {
		return explain("list the topics", err)
	}
	topics, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return explain("list the topics", err)
	}
	var published []es.RecordedEvent
	for _, topic := range topics {
		newest, err := t.relay.client.Last(ctx, topic)
		switch {
		case errors.Is(err, kafka.ErrNoTopic):
			continue
		case errors.Is(err, kafka.ErrDenied):
			t.relay.logger.WarnContext(ctx, "the relay may not read its topics, so it cannot see whether the log has lost what was published: let it read them", "topic", topic, "error", err)
			continue
		case err != nil:
			return fmt.Errorf("outbox: look what was published: %w", err)
		}
		published = append(published, t.ours(newest)...)
	}
	return t.inLog(ctx, published)
}

// ours are the events of messages that this store has published in its life.
func (t *term) ours(messages []kafka.Message) (events []es.RecordedEvent) {
	for _, m := range messages {
		life, ok := kafka.Life(m)
		if !ok || life != t.start.Life || kafka.Source(m) != t.relay.source {
			continue
		}
		if e, err := kafka.ToEvent(m); err == nil {
			events = append(events, e)
		}
	}
	return events
}

func (t *term) inLog(ctx context.Context, published []es.RecordedEvent) error {
	if len(published) == 0 {
		return nil
	}
	positions, ids := make([]int64, len(published)), make([]string, len(published))
	for i := range published {
		positions[i], ids[i] = int64(published[i].Position), published[i].ID.String()
	}
	var place int
	err := t.relay.store.Pool().QueryRow(ctx, t.relay.sql(lostSQL), positions, ids).Scan(&place)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return explain("look what was published", err)
	}
	lost := &published[place]
	return fmt.Errorf("%w: Kafka has %s of %s version %d, published from position %d, and the log does not: %s", ErrRestored, lost.Type, lost.Stream, lost.Version, lost.Position, howToRepair())
}
