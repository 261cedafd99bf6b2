package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/asof-dev/asof/es"
)

// Readers that have come to the end of the log wait there together: one of them asks the
// database for all, so that what that costs does not grow with their number. It asks often
// after there was something, and less and less often while there is nothing. It asks for the
// last event alone, and does not look whether the log is the one that was read: where the
// last event is another, or was, somebody reads, and reading looks at it all.

// tailFirst is the first pause between two looks. Each reader that is woken costs a
// transaction, so shorter would be dearer rather than fresher.
const tailFirst = 2 * time.Millisecond

// tail is where the readers wait.
type tail struct {
	mu    sync.Mutex
	head  mark          // that was seen
	anew  int           // how often another event stood at its position
	grown chan struct{} // closed when the head is another
	pause time.Duration // between two looks

	once sync.Once
	turn chan struct{} // whose turn it is to ask
}

// Await waits, no longer than most, until the log has an event behind a position, and reports
// whether it has; or the log was put back meanwhile, which reading will tell. While nothing is
// appended the store asks about once in every, for all that wait.
func (s *Store) Await(ctx context.Context, after es.Position, every, most time.Duration) (bool, error) {
	if s.invalid != nil {
		return false, s.invalid
	}
	t := &s.tail
	t.once.Do(func() { t.turn, t.grown = make(chan struct{}, 1), make(chan struct{}) })
	short, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_, began, _ := t.seen()
	for woken := false; ; {
		head, anew, grown := t.seen()
		if head > after || woken && head < after || anew != began {
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

func (t *tail) seen() (head es.Position, anew int, grown chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head.position, t.anew, t.grown
}

// saw notes the head, and reports whether another event stands where it was. With a log that
// is put back it may go back, too.
func (t *tail) saw(head mark) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if head == t.head {
		return false
	}
	same := head.position == t.head.position
	if same {
		t.anew++
	}
	close(t.grown)
	t.head, t.grown, t.pause = head, make(chan struct{}), 0
	return same
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
		rows, err := s.pool.Query(ctx, s.sql.head)
		if err == nil {
			err = head.scan(rows)
		}
		if err != nil {
			return explain("look for more", err)
		}
		if s.tail.saw(head) || head.position != after {
			return nil
		}
	}
}
