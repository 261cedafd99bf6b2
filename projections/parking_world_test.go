package projections_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Events with which the definitions of these tests fail, as a wrong program does, until
// they are mended.
const (
	failsEverywhere = 13 // Deposited: an error for every row
	failsForAll     = 14 // Deposited: an error for the row "all"
	panicsHalfWay   = 15 // Deposited: a panic when the row is changed already
)

var errUnlucky = errors.New("unlucky")

// strike fails with events that are poison.
func strike(e Event, bucket string) error {
	d, _ := e.(Deposited)
	switch {
	case d.Cents == failsEverywhere, d.Cents == failsForAll && bucket == "all":
		return errUnlucky
	case d.Cents == panicsHalfWay:
		panic("half way")
	default:
		return nil
	}
}

// poisonedBalances has a row for each stream.
func poisonedBalances(mended *atomic.Bool) projections.Fold[Balance, Event] {
	def := balances()
	def.Order = projections.OneStream
	apply := def.Apply
	def.Apply = nil
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		if r.RecordedAt.Location() != time.UTC {
			panic("a time that is not in UTC")
		}
		apply(b, e, r)
		if mended.Load() {
			return nil
		}
		return strike(e, "")
	}
	return def
}

// poisonedTotals has rows that many streams feed, two of them an event.
func poisonedTotals(mended *atomic.Bool) projections.Fold[Total, Event] {
	def := totals()
	def.Order = projections.Commuting
	apply := def.Apply
	def.Apply = nil
	def.TryApply = func(t *Total, e Event, r es.Recorded) error {
		apply(t, e, r)
		if mended.Load() {
			return nil
		}
		return strike(e, t.Bucket)
	}
	return def
}

// lacking folds a history but for what is to be parked, and says how much that is: written
// without the framework.
func lacking[R any](w *world, history []es.RecordedEvent, mended bool, keys func(Event, es.Recorded) []string, apply func(*R, string, Event, es.Recorded)) (rows map[string]R, parked int64) {
	type sequence struct {
		stream es.StreamID
		key    string
	}
	rows, behind := map[string]R{}, map[sequence]bool{}
	for _, recorded := range history {
		whole := sequence{recorded.Stream, ""}
		event, err := es.One(w.codec.Decode(w.Context(), nil, recorded))
		if errors.Is(err, es.ErrUnknownType) {
			continue
		}
		if err != nil || behind[whole] {
			behind[whole] = true
			parked++
			continue
		}
		for _, key := range keys(event, recorded.Recorded) {
			s := sequence{recorded.Stream, key}
			if behind[s] || !mended && poisonous(event, key) {
				behind[s] = true
				parked++
				continue
			}
			row := rows[key]
			apply(&row, key, event, recorded.Recorded)
			rows[key] = row
		}
	}
	return rows, parked
}

func poisonous(e Event, key string) bool {
	d, _ := e.(Deposited)
	return d.Cents == failsEverywhere || d.Cents == failsForAll && key == "all" || d.Cents == panicsHalfWay
}

func (w *world) lackingBalances(history []es.RecordedEvent, mended bool) (map[string]Balance, int64) {
	return lacking(w, history, mended,
		func(_ Event, r es.Recorded) []string { return []string{r.Stream.ID} },
		func(b *Balance, _ string, e Event, r es.Recorded) { balances().Apply(b, e, r) })
}

func (w *world) lackingTotals(history []es.RecordedEvent, mended bool) (map[string]Total, int64) {
	return lacking(w, history, mended, totals().Keys, func(t *Total, key string, e Event, r es.Recorded) {
		t.Bucket = key
		totals().Apply(t, e, r)
	})
}

// unreadable appends an event that does not decode.
func (w *world) unreadable(id string) es.Position {
	w.Helper()
	return w.appendData(w.stream(id), es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte(`{"Cents":"many"}`)})
}

// reach waits until a projector has applied a position, or parked what is there.
func reach(t testing.TB, p *projections.Projector, position es.Position) {
	t.Helper()
	err := p.WaitFor(within(t, patient), position)
	var parked *projections.ParkedError
	if err != nil && !errors.As(err, &parked) {
		status, _ := p.Status(t.Context())
		t.Fatalf("%v\n%+v", err, status)
	}
}

// wantParked checks how much the live build has parked, by what the books count and by what
// there is.
func wantParked(t testing.TB, p *projections.Projector, target projections.Target, want int64) []projections.ParkedEvent {
	t.Helper()
	status, err := p.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := projections.ListParked(t.Context(), target, p.Name())
	if err != nil {
		t.Fatal(err)
	}
	var mine []projections.ParkedEvent
	for _, u := range list {
		if u.State == projections.BuildLive {
			mine = append(mine, u)
		}
	}
	if status.Parked != want || int64(len(mine)) != want {
		t.Fatalf("%d units are counted and %d are parked, want %d: %+v", status.Parked, len(mine), want, mine)
	}
	return mine
}
