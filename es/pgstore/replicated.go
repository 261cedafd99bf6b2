package pgstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
)

// How readers act only on what a failover keeps.
//
// Under synchronous replication an append is acknowledged when the standbys have it.
// But it is visible on the primary before, when its caller gives up waiting or the
// primary starts again; and a failover then takes it back from everybody who has read
// it. So a reader notes how far the primary's write-ahead log is flushed after its
// page, which is at or beyond the commits of all that the page has, and waits until as
// many standbys as a commit waits for have flushed it too.
//
// After a failover, behind a pooler or with several hosts in the URL, the pool may lead
// to another server than the page came from. What that one has flushed, and its standbys,
// says nothing of the page. So each answer comes with the start of its server, and the
// page is read anew where it is another.

// ErrNotReplicated: it cannot be told what the standbys have, or synchronous_standby_names
// is not understood. The text says what to grant or to change.
var ErrNotReplicated = errors.New("pgstore: what the standbys have is not known")

// WithReplicatedReads lets every read wait until the synchronous standbys have what it
// returns, so that nothing is acted on that a failover takes back. Where
// synchronous_standby_names is empty it changes nothing; else a read costs another
// round trip, and the role must be a member of pg_monitor. The relay does so by itself.
func WithReplicatedReads() Option { return func(s *Store) { s.replicated = true } }

// origin is where a page came from.
type origin struct {
	started    time.Time // of the server
	replicated bool      // it had synchronous_standby_names set
}

// ReadReplicated is [Store.ReadAfter] that waits for the standbys also without
// [WithReplicatedReads]. It calls waits, which may be nil, whenever that begins.
func (s *Store) ReadReplicated(ctx context.Context, after es.Checkpoint, limit int, waits func()) ([]es.RecordedEvent, error) {
	return s.readAfter(ctx, after, limit, func(from origin) error {
		if waits != nil && from.replicated {
			waits()
		}
		return awaitReplication(ctx, s.pool, from)
	})
}

func (s *Store) replicate(ctx context.Context, from origin) error {
	if !s.replicated {
		return nil
	}
	return awaitReplication(ctx, s.pool, from)
}

// replicateBeside is replicate for who holds a connection of the pool.
func (s *Store) replicateBeside(ctx context.Context, from origin) error {
	if !s.replicated || !from.replicated {
		return nil
	}
	err := s.beside(ctx, func(conn *pgx.Conn) error { return awaitReplication(ctx, conn, from) })
	return explain("look how far the standbys are", err)
}

// standbysSQL reads which server answers, what commits wait for there, how far it and
// its synchronous standbys have flushed, the farthest first, and whether the role may see
// that. A server in recovery has written nothing.
const standbysSQL = `
select pg_postmaster_start_time(), current_setting('synchronous_standby_names'),
       case when pg_is_in_recovery() then 0 else (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint end,
       array(select (flush_lsn - '0/0'::pg_lsn)::bigint from pg_stat_replication
             where sync_state in ('sync', 'quorum') and flush_lsn is not null order by 1 desc),
       pg_has_role(current_user, 'pg_read_all_stats', 'usage'), current_user::text`

// standbys is how far the synchronous standbys are.
type standbys struct {
	started time.Time
	names   string // synchronous_standby_names
	primary int64
	flushed []int64
	visible bool
	role    string
}

// awaitReplication waits until the synchronous standbys have all that a page has which
// was just read. It costs no round trip where synchronous_standby_names was empty then.
// While too few standbys are connected it waits; bound it by the context. It ends with
// errRunEnded when another server answers.
func awaitReplication(ctx context.Context, on db, from origin) error {
	if !from.replicated {
		return nil
	}
	first, err := standbysOn(ctx, on, from)
	if err != nil || first.names == "" {
		return err
	}
	pause := wait.Backoff{First: time.Millisecond, Last: 20 * time.Millisecond}
	for now := first; ; {
		need, err := quorum(now.names)
		if err != nil {
			return err
		}
		if len(now.flushed) >= need && now.flushed[need-1] >= first.primary {
			return nil
		}
		had := len(now.flushed)
		if err = pause.Wait(ctx); err == nil {
			now, err = standbysOn(ctx, on, from)
		}
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("pgstore: wait for %d synchronous standbys, of which %d are connected: %w", need, had, context.Cause(ctx))
		}
		if err != nil || now.names == "" {
			return err
		}
	}
}

func standbysOn(ctx context.Context, on db, from origin) (standbys, error) {
	var n standbys
	err := on.QueryRow(ctx, standbysSQL).Scan(&n.started, &n.names, &n.primary, &n.flushed, &n.visible, &n.role)
	switch {
	case err != nil:
		return n, explain("look how far the standbys are", err)
	case !n.started.Equal(from.started):
		return n, errRunEnded
	case n.names != "" && !n.visible:
		return n, fmt.Errorf("%w: synchronous_standby_names is set, and role %s may not see how far the standbys are: run: grant pg_monitor to %s", ErrNotReplicated, n.role, pg.Quote(n.role))
	}
	return n, nil
}

// The forms of synchronous_standby_names
// (https://www.postgresql.org/docs/current/runtime-config-replication.html): a list,
// N (list), FIRST N (list) and ANY N (list).
var quorumForm = regexp.MustCompile(`(?i)^\s*(?:(?:first|any)\s+)?(\d+)\s*\(`)

// quorum is for how many standbys a commit waits. Which they are Postgres tells by
// their sync_state: of FIRST just those N are "sync"; of ANY all are "quorum", and the
// N farthest count.
func quorum(names string) (int, error) {
	form := quorumForm.FindStringSubmatch(names)
	if form == nil {
		return 1, nil
	}
	n, err := strconv.Atoi(form[1])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: synchronous_standby_names is %q: name a number of standbys", ErrNotReplicated, names)
	}
	return n, nil
}
