package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// TestRead_loses_nothing: a reader that follows hostile writers delivers every
// committed event once, in order, and does not wait for the foreign transaction.
func TestRead_loses_nothing(t *testing.T) {
	t.Parallel()
	store := open(t)
	got := follow(t, store, store.Read)
	if got.committed < 1000 || got.rolledBack < 50 {
		t.Errorf("the writers were not hostile enough: %+v", got)
	}
	if got.lost+got.twice+got.positions+got.versions+got.ghosts > 0 {
		t.Errorf("Read broke the log's promises: %+v", got)
	}
	t.Logf("%+v", got)
}

// TestNaive_reader_loses_events shows that the test above can fail: the reader that
// everybody writes first, position > cursor, loses events under the same writers.
func TestNaive_reader_loses_events(t *testing.T) {
	t.Parallel()
	store := open(t)
	got := follow(t, store, func(ctx context.Context, after es.Position, limit int) ([]es.RecordedEvent, error) {
		rows, err := store.Pool().Query(ctx, `select position, category, stream_id, version from asof.events where position > $1 order by position limit $2`, after, limit)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e es.RecordedEvent, err error) {
			return e, row.Scan(&e.Position, &e.Stream.Category, &e.Stream.ID, &e.Version)
		})
	})
	if got.lost < 2 { // those of the stalled appender it cannot but lose
		t.Errorf("the naive reader lost nothing, so the writers prove nothing: %+v", got)
	}
	t.Logf("%+v", got)
}

// report counts what a reader did.
type report struct {
	committed, rolledBack int // events written
	delivered             int
	lost, twice, ghosts   int // ghosts were delivered and not committed
	positions, versions   int // out of order
}

type place struct {
	stream  es.StreamID
	version es.Version
}

const (
	writers        = 16
	transactions   = 60 // of each writer
	streamsInAll   = 40
	readLimit      = 100
	followDeadline = 180 * time.Second
)

// follow lets 16 hostile writers and a reader run together, and then compares what
// was delivered with what was committed.
func follow(t *testing.T, store *pgstore.Store, read func(context.Context, es.Position, int) ([]es.RecordedEvent, error)) report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), followDeadline)
	defer cancel()
	pool := store.Pool()
	must(t, exec(ctx, pool, `create table elsewhere (writer int, n int)`))

	// A transaction that writes, and appends nothing, stays open all the time.
	foreign, err := pool.Begin(ctx)
	must(t, err)
	defer foreign.Rollback(context.WithoutCancel(ctx))
	_, err = foreign.Exec(ctx, `insert into elsewhere values (-1, 0)`)
	must(t, err)

	var (
		wg        sync.WaitGroup
		mu        sync.Mutex
		committed = map[place]bool{}
		rep       report
	)
	wrote := func(events []es.RecordedEvent, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			if ok {
				committed[place{e.Stream, e.Version}] = true
				rep.committed++
			} else {
				rep.rolledBack++
			}
		}
	}
	for w := range writers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for n := range transactions {
				events, ok, err := hostile(ctx, store, random, w, n)
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				wrote(events, ok)
			}
		})
	}
	var at progress
	wg.Go(func() { // a stalled appender
		events, err := stalled(ctx, store, &at)
		if err != nil {
			t.Errorf("stalled appender: %v", err)
		}
		wrote(events, true)
	})
	wg.Go(func() { // a prepared transaction, committed a while later by another session
		events, err := prepared(ctx, store)
		if err != nil {
			t.Errorf("prepared transaction: %v", err)
		}
		wrote(events, true)
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()

	seen := map[place]int{}
	last := map[es.StreamID]es.Version{}
	var cursor es.Position
	for finished := false; ; {
		select {
		case <-done:
			finished = true
		default:
		}
		events, err := read(ctx, cursor, readLimit)
		must(t, err)
		if len(events) == 0 {
			at.idle.Add(1)
		}
		for _, e := range events {
			if e.Position <= cursor {
				rep.positions++
			}
			if e.Version != last[e.Stream]+1 {
				rep.versions++
			}
			cursor, last[e.Stream] = e.Position, e.Version
			seen[place{e.Stream, e.Version}]++
			rep.delivered++
		}
		at.cursor.Store(int64(cursor))
		if finished && len(events) == 0 {
			break
		}
	}
	<-done
	for at := range committed {
		if seen[at] == 0 {
			rep.lost++
		}
	}
	for at, n := range seen {
		if n > 1 {
			rep.twice++
		}
		if !committed[at] {
			rep.ghosts++
		}
	}
	return rep
}

// hostile appends to a few streams in one transaction that writes elsewhere first,
// dawdles between drawing positions and the commit, and now and then rolls back.
func hostile(ctx context.Context, store *pgstore.Store, random *rand.Rand, writer, n int) (events []es.RecordedEvent, committed bool, err error) {
	for {
		tx, err := store.Pool().Begin(ctx)
		if err != nil {
			return nil, false, err
		}
		events, err = hostileTx(ctx, store, tx, random, writer, n)
		if errors.Is(err, es.ErrRetry) {
			_ = tx.Rollback(ctx)
			continue
		}
		if err != nil {
			_ = tx.Rollback(ctx)
			return nil, false, err
		}
		if random.IntN(10) == 0 {
			return events, false, tx.Rollback(ctx)
		}
		return events, true, tx.Commit(ctx)
	}
}

func hostileTx(ctx context.Context, store *pgstore.Store, tx pgx.Tx, random *rand.Rand, writer, n int) ([]es.RecordedEvent, error) {
	if _, err := tx.Exec(ctx, `insert into elsewhere values ($1, $2)`, writer, n); err != nil {
		return nil, err
	}
	if random.IntN(3) == 0 {
		dawdle(ctx, random)
	}
	var all []es.RecordedEvent
	first := random.IntN(streamsInAll)
	for i := range 1 + random.IntN(3) {
		stream := es.StreamID{Category: "hostile", ID: fmt.Sprintf("s-%02d", (first+i)%streamsInAll)}
		events, err := store.InTx(tx).Append(ctx, stream, es.Any, someEvents(1+random.IntN(3))...)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
		if random.IntN(4) == 0 {
			dawdle(ctx, random)
		}
	}
	return all, nil
}

// dawdle is part of the workload: a transaction that takes its time.
func dawdle(ctx context.Context, random *rand.Rand) {
	pause(ctx, time.Duration(random.IntN(8))*time.Millisecond)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// progress is how far the reader has got.
type progress struct{ cursor, idle atomic.Int64 }

// stalled draws a position, lets another append draw and commit a higher one, and
// stays open until the reader has either gone past it or come back with nothing a
// few times. So a reader that does not wait loses its events for certain.
func stalled(ctx context.Context, store *pgstore.Store, reader *progress) (events []es.RecordedEvent, err error) {
	err = pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
		events, err = store.InTx(tx).Append(ctx, es.StreamID{Category: "stalled", ID: "1"}, es.NoStream, someEvents(2)...)
		if err != nil {
			return err
		}
		later, err := store.Append(ctx, es.StreamID{Category: "stalled", ID: "2"}, es.NoStream, someEvents(1)...)
		if err != nil {
			return err
		}
		events = append(events, later...)
		const often = 5
		for idle := reader.idle.Load(); reader.cursor.Load() < int64(later[0].Position) && reader.idle.Load() < idle+often && ctx.Err() == nil; {
			pause(ctx, time.Millisecond)
		}
		return ctx.Err()
	})
	return events, err
}

func prepared(ctx context.Context, store *pgstore.Store) (events []es.RecordedEvent, err error) {
	gid := "held " + store.Pool().Config().ConnConfig.Database // names are the whole server's
	err = pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
		if events, err = store.InTx(tx).Append(ctx, es.StreamID{Category: "prepared", ID: "1"}, es.NoStream, someEvents(2)...); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `prepare transaction '`+gid+`'`)
		return err
	})
	if err != nil {
		return nil, err
	}
	return events, exec(ctx, store.Pool(), `select pg_sleep(0.5)`, `commit prepared '`+gid+`'`)
}
