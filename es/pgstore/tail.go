package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
)

// Readers that have come to the end of the log wait there together: one of them asks the
// database for all, so that what that costs does not grow with their number. It asks often
// after there was something, and less and less often while there is nothing. It asks for the
// last event; and now and then, if nobody else has looked, whether the log is the one that
// was read, in the same round trip. Where the last event is another, or the log is, all read,
// and reading tells what it is.

const (
	// tailFirst is the first pause between two looks. Each reader that is woken costs a
	// transaction, so shorter would be dearer rather than fresher.
	tailFirst = 2 * time.Millisecond
	// probeEvery is how long nobody may have looked at the log as a whole.
	probeEvery = 5 * time.Second
)

// tail is where the readers wait.
type tail struct {
	mu     sync.Mutex
	head   mark          // that was seen
	anew   int           // how often another event stood at its position, or the log was another
	grown  chan struct{} // closed when the head or the log is another
	pause  time.Duration // between two looks
	looked time.Time     // when the last was answered
	probed time.Time     // when the log was looked at as a whole

	once sync.Once
	turn chan struct{} // whose turn it is to ask
}

// ready makes what the zero value lacks.
func (t *tail) ready() {
	t.once.Do(func() { t.turn, t.grown, t.probed = make(chan struct{}, 1), make(chan struct{}), time.Now() })
}

// Await waits, no longer than most, until the log has an event behind a position, and reports
// whether it has; or the log was put back meanwhile, lives another life, or its server was started anew,
// which reading will tell. While nothing is appended the store asks about once in every, for
// all that wait.
func (s *Store) Await(ctx context.Context, after es.Position, every, most time.Duration) (bool, error) {
	if s.invalid != nil {
		return false, s.invalid
	}
	t := &s.tail
	t.ready()
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

// changed has all read: the log may be another.
func (t *tail) changed() {
	t.ready()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.anew++
	close(t.grown)
	t.grown, t.pause = make(chan struct{}), 0
}

// wasProbed notes that the log was looked at as a whole.
func (t *tail) wasProbed() {
	t.ready()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.probed = time.Now()
}

// wasLooked notes that the last event was asked for.
func (t *tail) wasLooked() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looked = time.Now()
}

// next returns how long to wait before the next look, and whether that has to be at the log
// as a whole. The pause counts from the last look: who has read meanwhile waits for what is
// left of it.
func (t *tail) next(every time.Duration) (pause time.Duration, whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pause = min(max(2*t.pause, tailFirst), every)
	return t.pause - time.Since(t.looked), time.Since(t.probed) >= probeEvery
}

// watch asks for the head until it is another than a reader's position, or the log is
// another.
func (s *Store) watch(ctx context.Context, after es.Position, every time.Duration) error {
	_, began, _ := s.tail.seen()
	for {
		pause, whole := s.tail.next(every)
		if err := wait.For(ctx, pause); err != nil {
			return err
		}
		head, err := s.last(ctx, whole)
		if err != nil {
			return explain("look for more", err)
		}
		s.tail.wasLooked()
		same := s.tail.saw(head)
		if _, anew, _ := s.tail.seen(); same || anew != began || head.position != after {
			return nil
		}
	}
}

// last asks for the last event, and on the whole whether the log is the one that was read.
func (s *Store) last(ctx context.Context, whole bool) (head mark, err error) {
	if whole {
		_, err = s.read(ctx, "look for more", es.Checkpoint{}, func(_ look, batch *pgx.Batch) {
			head = mark{}
			batch.Queue(s.sql.head).Query(head.scan)
		})
		return head, err
	}
	rows, err := s.pool.Query(ctx, s.sql.head)
	if err == nil {
		err = head.scan(rows)
	}
	return head, err
}
