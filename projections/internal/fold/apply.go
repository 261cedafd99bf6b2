package fold

import (
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/table"
)

// Events are applied to a row in their order. Rows have nothing to do with each other, so an
// Apply that takes its time is called for several of them at once, whatever the definition
// says of the order: what comes of it, what is parked, and the error with which a batch ends
// are those of one call after the other.

const (
	// slow is how long Apply takes for an event, at least, where that is worth the while.
	slow = 10 * time.Microsecond
	// besideEach is how many calls there are at once for each processor: some may wait.
	besideEach = 4
	// quick is how long a batch takes at most that tells nothing about the next.
	quick = time.Millisecond
)

// pace is how long Apply takes, as the last batch has shown.
type pace struct{ each atomic.Int64 }

func (p *pace) note(took time.Duration, events int) {
	if took < quick {
		took = 0
	}
	p.each.Store(int64(took) / int64(max(1, events)))
}

func (p *pace) slow() bool { return time.Duration(p.each.Load()) >= slow }

// job is a batch that is applied to its rows.
type job[R any, E es.Event] struct {
	*folding[R, E]
	list    []touch[E]
	touched []*table.Row[R] // by touch
	texts   []string
	hands   []table.Hand[R]

	mu      sync.Mutex // for what follows
	parking *Parking
	failed  int // the first touch that ends the batch
	err     error
	took    time.Duration
}

// applyAll applies the events of a batch to the rows that they touch.
func (f *folding[R, E]) applyAll(list []touch[E], touched []*table.Row[R], texts []string, parking *Parking) error {
	n := f.concurrency(len(list))
	j := &job[R, E]{folding: f, list: list, touched: touched, texts: texts, hands: f.rows.Hands(n), parking: parking, failed: len(list)}
	if n > 1 {
		var group sync.WaitGroup
		for hand := range n {
			group.Go(func() { j.run(hand) })
		}
		group.Wait()
	} else {
		j.run(0)
	}
	f.rows.Gather(j.hands)
	f.pace.note(j.took, len(list))
	return j.err
}

// concurrency is how many hands change the rows of so many touches.
func (f *folding[R, E]) concurrency(touches int) int {
	if !f.def.Always && !f.pace.slow() {
		return 1
	}
	n := f.def.Concurrency
	if n == 0 {
		n = besideEach * runtime.GOMAXPROCS(0)
	}
	return max(1, min(n, touches))
}

// run applies the events of the rows that are a hand's.
func (j *job[R, E]) run(hand int) {
	began := time.Now()
	for i := range j.list {
		row := j.touched[i]
		if row == nil || j.again(j.list, j.touched, i) || !j.mine(hand, row) {
			continue
		}
		if !j.apply(&j.hands[hand], i) {
			break
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.took += time.Since(began)
}

// mine shares out the rows.
func (j *job[R, E]) mine(hand int, row *table.Row[R]) bool {
	n := uint64(len(j.hands))
	return n == 1 || maphash.String(j.seed, row.Key())%n == uint64(hand) //nolint:gosec // it is not below zero
}

// apply applies an event to a row, or parks it. It reports whether the batch goes on.
func (j *job[R, E]) apply(hand *table.Hand[R], i int) bool {
	t, row := &j.list[i], j.touched[i]
	admitted, goOn := j.judge(i, func() (bool, error) { return j.parking.admitRow(t.r, row.Key(), t.key) })
	if !admitted {
		return goOn
	}
	err := j.change(hand, i)
	if err == nil {
		return true
	}
	_, goOn = j.judge(i, func() (bool, error) {
		return false, j.parking.fail(t.r, j.parking.text(t.r.Stream, row.Key()), err)
	})
	return goOn
}

// judge asks what is parked, one at a time. Where a touch ends the batch, those before it are
// applied all the same: one of them may end it earlier.
func (j *job[R, E]) judge(i int, ask func() (bool, error)) (ok, goOn bool) {
	if len(j.hands) > 1 {
		j.mu.Lock()
		defer j.mu.Unlock()
	}
	if i > j.failed {
		return false, false
	}
	ok, err := ask()
	if err != nil {
		j.failed, j.err = i, err
	}
	return ok, err == nil
}

// change folds an event into a row, in memory, with all of its parts that touch the row. After
// an error the row is as it was. A row that begins with it has the text as its key.
func (j *job[R, E]) change(hand *table.Hand[R], i int) error {
	at := i
	return guard(func() error {
		return hand.Change(i, j.touched[i], j.texts[i], func(value *R) (more bool, err error) {
			t := &j.list[at]
			if j.rules.TryApply != nil {
				err = j.rules.TryApply(value, t.event, t.recorded())
			} else {
				j.rules.Apply(value, t.event, t.recorded())
			}
			at = j.next(j.list, j.touched, at)
			return at >= 0, err
		}, j.rules.Delete)
	})
}
