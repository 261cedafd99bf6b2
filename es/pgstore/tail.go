package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// Readers that have come to the end of the log wait there together: one of them asks the
// database for all, so that what that costs does not grow with their number. It asks often
// after there was something, and less and less often while there is nothing.

// tailFirst is the first pause between two looks. Each reader that is woken costs a
// transaction, so shorter would be dearer rather than fresher.
const tailFirst = 2 * time.Millisecond

// tail is where the readers wait.
type tail struct {
	mu    sync.Mutex
	head  es.Position   // that was seen
	grown chan struct{} // closed when the head is another
	pause time.Duration // between two looks

	once sync.Once
	turn chan struct{} // whose turn it is to ask
}

// Await waits, no longer than most, until the log has an event behind a position, and reports
// whether it has; or it is behind the position itself, which reading will tell. While nothing
// is appended the store asks about once in every, for all that wait.
func (s *Store) Await(ctx context.Context, after es.Position, every, most time.Duration) (bool, error) {
	t := &s.tail
	t.once.Do(func() { t.turn, t.grown = make(chan struct{}, 1), make(chan struct{}) })
	short, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for woken := false; ; {
		head, grown := t.seen()
		if head > after || woken && head < after {
			return true, nil
		}
		select {
		case <-grown:
			woken = true
		case t.turn <- struct{}{}:
			err := s.watch(short, after, every)
			<-t.turn
			if err == nil || short.Err() == nil {
				return err == nil, err
			}
		case <-short.Done():
			return false, ctx.Err()
		}
	}
}

func (t *tail) seen() (es.Position, chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head, t.grown
}

// saw notes the head. It goes back with a log that is put back.
func (t *tail) saw(head es.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if head != t.head {
		close(t.grown)
		t.grown, t.pause = make(chan struct{}), 0
	}
	t.head = head
}

// next returns how long to wait before the next look.
func (t *tail) next(every time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pause = min(max(2*t.pause, tailFirst), every)
	return t.pause
}

// watch asks for the head until it is another than a reader's position.
func (s *Store) watch(ctx context.Context, after es.Position, every time.Duration) error {
	for {
		timer := time.NewTimer(s.tail.next(every))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		var head mark
		_, err := s.read(ctx, "look for more", es.Checkpoint{}, func(_ look, batch *pgx.Batch) {
			head = mark{}
			batch.Queue(s.sql.head).Query(head.scan)
		})
		if err != nil {
			return err
		}
		s.tail.saw(head.position)
		if head.position != after {
			return nil
		}
	}
}
