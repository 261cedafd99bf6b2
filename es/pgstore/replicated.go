package pgstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

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

// ErrNotReplicated: it cannot be told what the standbys have, or synchronous_standby_names
// is not understood. The text says what to grant or to change.
var ErrNotReplicated = errors.New("pgstore: what the standbys have is not known")

// WithReplicatedReads lets every read wait until the synchronous standbys have what it
// returns, so that nothing is acted on that a failover takes back. Where
// synchronous_standby_names is empty it changes nothing; else a read costs another
// round trip, and the role must be a member of pg_monitor. The relay does so by itself.
func WithReplicatedReads() Option { return func(s *Store) { s.replicated = true } }

func (s *Store) replicate(ctx context.Context) error {
	if !s.replicated {
		return nil
	}
	return s.AwaitReplication(ctx)
}

// standbysSQL reads what commits wait for, how far this server and its synchronous
// standbys have flushed, the farthest first, and whether the role may see that.
const standbysSQL = `
select current_setting('synchronous_standby_names'), (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint,
       array(select (flush_lsn - '0/0'::pg_lsn)::bigint from pg_stat_replication
             where sync_state in ('sync', 'quorum') and flush_lsn is not null order by 1 desc),
       pg_has_role(current_user, 'pg_read_all_stats', 'usage'), current_user::text`

// standbys is how far the synchronous standbys are.
type standbys struct {
	names   string // synchronous_standby_names
	primary int64
	flushed []int64
	visible bool
	role    string
}

// AwaitReplication waits until the synchronous standbys have all that this store has
// read so far. It returns at once, without a round trip, where the last read found
// synchronous_standby_names empty. While too few standbys are connected it waits;
// bound it by the context.
func (s *Store) AwaitReplication(ctx context.Context) error {
	if r := s.run.Load(); r == nil || !r.replicated.Load() {
		return nil
	}
	first, err := s.standbys(ctx)
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
			now, err = s.standbys(ctx)
		}
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("pgstore: wait for %d synchronous standbys, of which %d are connected: %w", need, had, context.Cause(ctx))
		}
		if err != nil || now.names == "" {
			return err
		}
	}
}

func (s *Store) standbys(ctx context.Context) (standbys, error) {
	var n standbys
	err := s.pool.QueryRow(ctx, standbysSQL).Scan(&n.names, &n.primary, &n.flushed, &n.visible, &n.role)
	if err != nil {
		return n, explain("look how far the standbys are", err)
	}
	if n.names != "" && !n.visible {
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
