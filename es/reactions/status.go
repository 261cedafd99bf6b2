package reactions

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

// Status is how a reaction stands, whatever process runs it.
type Status struct {
	Name string
	// Lag is how many messages of the topics the group has not taken: see
	// [kafka.Client.Lag]. It is -1 where nobody was asked, or there is no such topic yet.
	Lag int64
	// Parked is how many messages are parked, and Oldest since when.
	Parked int64
	Oldest time.Time
	// Waits are the partitions that do not go on, and why, oldest first.
	Waits []Wait
}

// Wait is a partition that does not go on at a message.
type Wait struct {
	Topic     string
	Partition int
	Offset    int64
	Error     string
	Stopped   bool // the reaction has ended there; else it tries again
	Since     time.Time
}

// Status returns how the reaction stands; without its lag when it has no Kafka.
func (r *Reactor) Status(ctx context.Context) (Status, error) {
	if r.refused != nil {
		return Status{}, r.refused
	}
	list, err := List(ctx, r.store, r.name)
	if err != nil {
		return Status{}, err
	}
	status := Status{Name: r.name, Lag: -1}
	if len(list) > 0 {
		status = list[0]
	}
	if r.client != nil {
		lag, err := r.client.Lag(ctx, r.Group(), r.topics...)
		if errors.Is(err, kafka.ErrNoTopic) { // the service that has the events has not begun
			return status, nil
		}
		if err != nil {
			return status, r.explain("read the lag", err)
		}
		status.Lag = lag
	}
	return status, nil
}

const (
	// Bind: $1 reactions, or null for all.
	statusSQL = `
select reaction, coalesce(parked, 0), first from
    (select reaction, count(*) as parked, min(first_at) as first from {asof}.parked_messages group by 1) parked
    full join (select distinct reaction from {asof}.reaction_waits) waiting using (reaction)
where $1::text[] is null or reaction = any($1::text[]) order by 1`

	// Bind: $1 reaction.
	waitsOfSQL = `select topic, partition, "offset", error, stopped, since from {asof}.reaction_waits where reaction = $1 order by since, topic, partition`
)

// List returns how reactions stand, all or those named, also those that the program does
// not have: such as have parked something or wait, and without their lag.
func List(ctx context.Context, store *pgstore.Store, names ...string) ([]Status, error) {
	list, err := list(ctx, store, names)
	if err != nil {
		return nil, pg.Explain("reactions", "read the status", err)
	}
	return list, nil
}

func list(ctx context.Context, store *pgstore.Store, names []string) ([]Status, error) {
	rows, err := store.Pool().Query(ctx, pg.Expand(store.Schema(), statusSQL), names)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Status, error) {
		s := Status{Lag: -1}
		var oldest *time.Time
		err := row.Scan(&s.Name, &s.Parked, &oldest)
		if oldest != nil {
			s.Oldest = *oldest
		}
		return s, err
	})
	for i := range list {
		if err == nil {
			list[i].Waits, err = waitsOf(ctx, store, list[i].Name)
		}
	}
	return list, err
}

func waitsOf(ctx context.Context, store *pgstore.Store, name string) ([]Wait, error) {
	rows, err := store.Pool().Query(ctx, pg.Expand(store.Schema(), waitsOfSQL), name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Wait])
}

const (
	// Bind: $1 reaction, $2 topic, $3 partition, $4 offset, $5 error, $6 whether it has
	// ended. Since is when the partition came to a stand at the message.
	waitSQL = `
insert into {asof}.reaction_waits as w (reaction, topic, partition, "offset", error, stopped) values ($1, $2, $3, $4, $5, $6)
on conflict (reaction, topic, partition) do update set "offset" = excluded."offset", error = excluded.error, stopped = excluded.stopped,
    since = case when w."offset" = excluded."offset" then w.since else excluded.since end`

	// Bind: $1 reaction, $2 topic, $3 partition.
	goOnSQL = `delete from {asof}.reaction_waits where reaction = $1 and topic = $2 and partition = $3`
)

// noteTimeout bounds what is written about the state, which holds nothing up.
const noteTimeout = 2 * time.Second

// waitsAt writes down that a partition does not go on. That this fails, as it does when
// the database is what is waited for, is in the log only.
func (r *Reactor) waitsAt(ctx context.Context, d *delivery, why error, stopped bool) {
	r.write(ctx, waitSQL, r.name, d.Topic, d.Partition, d.Offset, *reason(why), stopped)
}

// goesOn writes down that a partition goes on.
func (r *Reactor) goesOn(ctx context.Context, topic string, partition int) {
	r.write(ctx, goOnSQL, r.name, topic, partition)
}

func (r *Reactor) write(ctx context.Context, sql string, args ...any) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if _, err := r.store.Pool().Exec(ctx, r.q(sql), args...); err != nil {
		r.log.DebugContext(ctx, "what the reaction waits for is not written down", "error", err)
	}
}
