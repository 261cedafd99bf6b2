package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// A page that is asked for when the one before is used lets the server wait for the
// reader, and the reader for the server. A stream does not: the server sends on while the
// reader works. It is cut into queries, since a long one keeps the server from cleaning up.

const (
	// streamEvents and streamBytes are how much a query of a stream returns, about.
	streamEvents = 100_000
	streamBytes  = 256 << 20
)

// errAnotherRun: the server was started anew, or the log is another.
var errAnotherRun = errors.New("pgstore: another run of the server")

// Stream gives the events after a checkpoint and up to a position, without settling the log:
// what is visible now. It is final for positions up to one that Settle or SettleTo has made so.
// A log that does not have the checkpoint's event, or lives another life, is refused. The
// events come in pages of at most limit and little more than 8 MiB. It reads on
// while give works, and ends with give's error. Give may keep the pages, or give them back
// with [Page.Recycle].
func (s *Store) Stream(ctx context.Context, after es.Checkpoint, upTo es.Position, limit int, give func(*Page) error) error {
	if _, err := s.scanLimit(limit); err != nil {
		return err
	}
	for after.Position < upTo {
		ask := s.sizes.many()
		n, err := s.streamOnce(ctx, &after, upTo, ask, limit, give)
		if err != nil || n < ask {
			return err
		}
	}
	return nil
}

// streamOnce is one query of a stream. It moves after on, and counts what it has given.
func (s *Store) streamOnce(ctx context.Context, after *es.Checkpoint, upTo es.Position, ask, limit int, give func(*Page) error) (given int, err error) {
	for range manyRuns {
		r, err := s.current(ctx)
		if err != nil {
			return given, err
		}
		known, at := s.lookIn(r).known, *after
		var p probe
		var refused error // by give
		batch := &pgx.Batch{}
		batch.Queue(s.sql.probe, lookUp(at.Position), known.lookUp()).QueryRow(p.scan)
		batch.Queue(pg.NoStatementTimeoutSQL)
		batch.Queue(s.sql.scan+strconv.Itoa(ask), int64(at.Position), int64(upTo)).Query(func(rows pgx.Rows) error {
			if err := s.steady(r, &p, at, known); err != nil {
				return err
			}
			if err := s.replicateBeside(ctx, origin{started: p.started, replicated: p.replicated}); err != nil {
				return err
			}
			n, err := s.pages(rows, limit, func(page *Page) error {
				last := &page.Events[len(page.Events)-1]
				s.seen.note(r.life, at, page.Events)
				after.Position, after.EventID = last.Position, last.ID
				refused = give(page)
				return refused
			})
			given += n
			return err
		})
		err = s.sendStream(ctx, batch)
		if refused != nil {
			return given, refused
		}
		if errors.Is(err, errRunEnded) { // before anything was given
			continue
		}
		if !errors.Is(err, errAnotherRun) {
			return given, explain("read the log", err)
		}
		next, err := s.judge(ctx, r, &p, at, known)
		if err != nil {
			return given, err
		}
		if next == r { // it could be told from the probe alone
			return given, fmt.Errorf("pgstore: read the log: %w", errAnotherRun)
		}
	}
	return given, errManyRuns("read the log")
}

// sendStream sends a batch on a connection that is closed when the stream is broken off:
// reading the rest of a long answer would take longer.
func (s *Store) sendStream(ctx context.Context, batch *pgx.Batch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, q := range batch.QueuedQueries {
		if f := q.Fn; f != nil {
			q.Fn = func(br pgx.BatchResults) error {
				err := f(br)
				if err != nil {
					cancel()
				}
				return err
			}
		}
	}
	return s.pool.SendBatch(ctx, batch).Close()
}

// steady reports, from a probe alone, a log that is not what the reader knows.
func (s *Store) steady(r *run, p *probe, after es.Checkpoint, known *mark) error {
	if err := p.refused(s); err != nil {
		return err
	}
	if err := s.sameLog(p, after, known); err != nil {
		return err
	}
	if !p.of(r) || headLost(p, known) {
		return errAnotherRun
	}
	return nil
}

// pages cuts rows into pages, and counts the events that it has given.
func (s *Store) pages(rows pgx.Rows, limit int, give func(*Page) error) (given int, err error) {
	defer rows.Close()
	r := row{page: newPage(limit)}
	bytes := 0
	flush := func() error {
		full := r.page
		if len(full.Events) == 0 {
			return nil
		}
		s.sizes.note("", len(full.Events), bytes)
		given += len(full.Events)
		r.page, bytes = newPage(limit), 0
		return give(full)
	}
	for rows.Next() {
		n, err := r.add(rows)
		if err != nil {
			return given, err
		}
		if bytes += n; len(r.page.Events) == limit || bytes >= pageBytes {
			if err := flush(); err != nil {
				return given, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return given, err
	}
	return given, flush()
}
