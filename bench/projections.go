package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// slower has fewer rounds: one of a projection takes seconds.
func (r *report) slower() *report {
	few := *r
	few.rounds = slowRounds(r.rounds)
	return &few
}

func slowRounds(rounds int) int { return (rounds + 1) / 2 }

// sales returns a log in a store of its own.
func (w *world) sales(ctx context.Context) (*sales, error) {
	store, err := w.store(ctx)
	if err != nil {
		return nil, err
	}
	l, err := newSales(ctx, store)
	if err != nil {
		store.Pool().Close()
	}
	return l, err
}

// benchRebuild compares Rebuild, from counting the log to the switch, with a program of
// one thread that folds one scan in a map, copies the rows and adds the key. Every
// build is a new version beside the live one, which is the usual reason to build. The program
// decodes by encoding/json; in the second line Asof does so, too.
func benchRebuild(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	if err := l.load(ctx, s.projected); err != nil {
		return err
	}
	if err := l.compareRebuild(ctx, "rebuild", r.slower()); err != nil {
		return err
	}
	l.plain = true
	return l.compareRebuild(ctx, "both by encoding/json", r.slower())
}

func (l *sales) compareRebuild(ctx context.Context, name string, r *report) error {
	err := r.compare(ctx, name,
		side{name: "asof", run: l.rebuild},
		side{name: "bare scan, fold and copy", run: l.rebuildBare})
	if err != nil {
		return err
	}
	return l.same(ctx)
}

func (l *sales) rebuild(ctx context.Context) (done, error) {
	began := time.Now()
	l.version++
	err := l.projector(l.version).Rebuild(ctx)
	return done{events: l.loaded, took: time.Since(began)}, err
}

// benchLive compares a projector that has a backlog, from the start of Run until the
// last event is in the read model, with a loop that reads a page, loads its rows, folds
// and writes them with its checkpoint. The backlog is of new streams in every round.
func benchLive(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	return l.compareLive(ctx, "a backlog", s.projected, r.slower())
}

func (l *sales) compareLive(ctx context.Context, name string, backlog int, r *report) error {
	if _, err := l.rebuild(ctx); err != nil { // Run would rebuild what is not there
		return err
	}
	if _, err := l.store.Pool().Exec(ctx, bareLiveSQL); err != nil {
		return err
	}
	if _, err := l.followBare(ctx); err != nil {
		return err
	}
	live, bare := backlogs{log: l, size: backlog, done: l.loaded}, backlogs{log: l, size: backlog, done: l.loaded}
	err := r.compare(ctx, name,
		side{name: "asof", prepare: live.next, run: l.follow},
		side{name: "bare page, load, upsert", prepare: bare.next, run: l.followBare})
	if err != nil {
		return err
	}
	return l.same(ctx)
}

// backlogs gives a side the same events as the other, whichever comes first.
type backlogs struct {
	log        *sales
	size, done int // events of a round; events that the side has had
}

func (b *backlogs) next(ctx context.Context) error {
	b.done += b.size
	if b.done <= b.log.loaded {
		return nil
	}
	return b.log.load(ctx, b.size)
}

// waitPoll is how often a measurement looks whether the read model is where it should be.
const waitPoll = 2 * time.Millisecond

// follow runs a projector until it has caught up.
func (l *sales) follow(ctx context.Context) (done, error) {
	var position int64
	if err := l.store.Pool().QueryRow(ctx, `select position from asof.events order by position desc limit 1`).Scan(&position); err != nil {
		return done{}, err
	}
	before, err := l.applied(ctx)
	if err != nil {
		return done{}, err
	}
	began := time.Now()
	running, stop := start(ctx, l.projector(l.version))
	err = l.projector(l.version, projections.WithPoll(waitPoll)).WaitFor(running, es.Position(position))
	took := time.Since(began)
	return done{events: l.loaded - before, took: took}, errors.Join(err, stop())
}

// applied counts the events in the read model.
func (l *sales) applied(ctx context.Context) (n int, err error) {
	err = l.store.Pool().QueryRow(ctx, `select coalesce(sum(events), 0)::bigint from sales.sales`).Scan(&n)
	return n, err
}

// start runs a projector until stop is called, which returns how it ended. The context
// that it returns ends when the projector does, so that nobody waits for a dead one.
func start(ctx context.Context, p *projections.Projector) (running context.Context, stop func() error) {
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- p.Run(running)
		cancel()
	}()
	return running, func() error {
		cancel()
		return <-ended
	}
}

// benchAsOf compares a look at the read model as it was at the end of the log, which is
// replayed for it, with a rebuild of the same log.
func benchAsOf(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	if err := l.load(ctx, s.projected); err != nil {
		return err
	}
	return r.slower().compare(ctx, "as of the end of the log",
		side{name: "asof", run: l.asOf},
		side{name: "rebuild", run: l.rebuild})
}

func (l *sales) asOf(ctx context.Context) (done, error) {
	began, n := time.Now(), 0
	head, err := l.store.Settle(ctx, time.Time{})
	if err != nil {
		return done{}, err
	}
	err = l.projector(1).AsOf(ctx, es.AtPosition(head), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select sum(events), count(*) from sales`).Scan(&n, new(int64))
	})
	if err == nil && n != l.loaded {
		err = fmt.Errorf("%d of %d events as of the end of the log", n, l.loaded)
	}
	return done{events: n, took: time.Since(began)}, err
}
