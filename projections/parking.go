package projections

import (
	"github.com/asof-dev/asof/projections/internal/fault"

	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// What cannot be applied does not hold up the rest: it is parked, and with it what comes
// after it in its sequence, since a row that lacks an event in the middle would be wrong.
// A sequence is the events of one stream that touch one row, which is why it takes a
// definition whose rows need no more order than that; one that needs the log's order stops.

// sequence is the events of a stream that touch a row, or with an empty key the whole
// stream: of an event that cannot be read nobody knows which row it touches.
type sequence struct {
	stream es.StreamID
	key    string
	source string // whose stream it is, where no log says it
}

// unit is what is parked: an event and one row that it touches, or the whole event.
type unit struct {
	event uuid.UUID
	key   string
}

// parking is what a writer knows of what its build has parked, and what it has to park. It
// is not safe for concurrent use.
type parking struct {
	def     *definition
	source  string // of all events that are judged; empty: the log says it
	most    int64  // units
	stored  int64
	from    map[sequence]es.Version // what is parked, from this version on
	skips   map[unit]struct{}       // what is left out
	refused map[unit]error          // what the database does not take
	only    *string                 // apply what touches this row alone
	trying  bool                    // nothing is kept, so that it may be any number
	fresh   []parkedUnit            // to be written
	known   map[unit]struct{}       // of fresh
	same    map[string]string       // texts of keys in the books, and those that the rows in memory have
	texts   map[sequence]string     // keys in the books, by stream and the row's key in memory
	without map[unit]struct{}       // skips, by the row's key in memory
}

// parkedUnit is a unit with why it is parked; without a reason it waits behind another.
type parkedUnit struct {
	event    es.RecordedEvent
	key      string
	why      error
	attempts int32     // before
	first    time.Time // when it was parked first; zero: now
}

// newParking knows nothing yet. Of units it parks no more than so many.
func newParking(d *definition, most int64) *parking { return &parking{def: d, most: most} }

// forget drops what is known and what was to be written.
func (k *parking) forget() {
	*k = parking{def: k.def, most: k.most, source: k.source}
}

// fork returns what is known, for a try of which nothing may be kept.
func (k *parking) fork() *parking {
	return &parking{def: k.def, most: k.most, source: k.source, stored: k.stored + int64(len(k.fresh)), from: maps.Clone(k.from), skips: k.skips}
}

// idle reports that no event needs a look.
func (k *parking) idle() bool {
	return len(k.from)+len(k.skips)+len(k.refused) == 0
}

// waits reports an event that comes after one that is parked.
func (k *parking) waits(e *es.RecordedEvent, key string) bool {
	if len(k.from) == 0 {
		return false
	}
	from, parked := k.from[sequence{e.Stream, key, k.source}]
	return parked && e.Version >= from
}

// skipped reports what is left out.
func (k *parking) skipped(e *es.RecordedEvent, key string) bool {
	if len(k.skips) == 0 {
		return false
	}
	_, skipped := k.skips[unit{e.ID, key}]
	_, without := k.without[unit{e.ID, key}]
	return skipped || without
}

// admit decides about an event before its rows are looked up: false when it is left out or
// parked as a whole. An event that cannot be read comes with why.
func (k *parking) admit(e *es.RecordedEvent, why error) (bool, error) {
	if k.skipped(e, "") {
		return false, nil
	}
	if k.waits(e, "") {
		return false, k.wait(e, "")
	}
	if why == nil {
		why = k.refused[unit{e.ID, ""}]
	}
	if why == nil {
		return true, nil
	}
	key := ""
	if k.only != nil {
		key = *k.only
	}
	return false, k.fail(e, key, why)
}

// admitRow decides about a row that an event touches, by its key; text is that key as the
// event has it.
func (k *parking) admitRow(e *es.RecordedEvent, row, text string) (bool, error) {
	key := k.text(e.Stream, row)
	switch {
	case k.only != nil && k.inMemory(*k.only) != row || k.skipped(e, row):
		return false, nil
	case k.waits(e, ""): // behind one of this batch
		return false, k.wait(e, "")
	case k.waits(e, key):
		return false, k.wait(e, key)
	case len(k.refused) > 0 && k.refused[unit{e.ID, text}] != nil:
		return false, k.fail(e, key, k.refused[unit{e.ID, text}])
	default:
		return true, nil
	}
}

// wait parks an event behind another.
func (k *parking) wait(e *es.RecordedEvent, key string) error {
	k.park(e, key, nil)
	return k.bounded()
}

// keys are the texts in the books that may be other texts of the rows that some events
// touch. What is skipped of another event is left out: it may be of a version whose keys are
// of another type.
func (k *parking) keys(touched map[uuid.UUID][]string) []string {
	var keys []string
	for s := range k.from {
		if s.key != "" {
			keys = append(keys, s.key)
		}
	}
	for u := range k.skips {
		if rows := touched[u.event]; u.key != "" && len(rows) > 0 && !slices.Contains(rows, u.key) {
			keys = append(keys, u.key)
		}
	}
	if k.only != nil {
		keys = append(keys, *k.only)
	}
	slices.Sort(keys)
	return keys
}

// unify learns which texts mean which rows, where they are not the same.
func (k *parking) unify(same map[string]string) {
	k.same, k.texts, k.without = same, nil, nil
	for s := range k.from {
		if row := k.inMemory(s.key); row != s.key {
			if k.texts == nil {
				k.texts = map[sequence]string{}
			}
			k.texts[sequence{s.stream, row, k.source}] = s.key
		}
	}
	for u := range k.skips {
		if row := k.inMemory(u.key); row != u.key {
			if k.without == nil {
				k.without = map[unit]struct{}{}
			}
			k.without[unit{u.event, row}] = struct{}{}
		}
	}
}

// inMemory returns the key by which memory has the row of a key in the books.
func (k *parking) inMemory(key string) string {
	if row, known := k.same[key]; known {
		return row
	}
	return key
}

// text returns the key by which the books have a stream's events of a row: a sequence keeps
// the one that it began with.
func (k *parking) text(stream es.StreamID, row string) string {
	if k.only != nil {
		return *k.only
	}
	if key, known := k.texts[sequence{stream, row, k.source}]; known {
		return key
	}
	return row
}

// fail parks what cannot be applied, or returns why the batch fails.
func (k *parking) fail(e *es.RecordedEvent, key string, why error) error {
	failure := &fault.EventError{Projection: k.def.name, Version: k.def.version, Event: e.Recorded, Err: why}
	if !k.parks() || errors.Is(why, fault.ErrRetry) {
		return failure
	}
	k.park(e, key, why)
	if err := k.bounded(); err != nil {
		return fmt.Errorf("%w: %w", err, failure)
	}
	return nil
}

// parks reports a definition that goes on behind what cannot be applied.
func (k *parking) parks() bool { return k.most > 0 && k.def.order != LogOrder }

func (k *parking) park(e *es.RecordedEvent, key string, why error) {
	u, s := unit{e.ID, key}, sequence{e.Stream, key, k.source}
	if _, known := k.known[u]; known { // of an earlier pass over the log
		return
	}
	if k.known == nil {
		k.known = map[unit]struct{}{}
	}
	if k.from == nil {
		k.from = map[sequence]es.Version{}
	}
	k.known[u] = struct{}{}
	k.fresh = append(k.fresh, parkedUnit{event: *e, key: key, why: why})
	if _, parked := k.from[s]; !parked {
		k.from[s] = e.Version
	}
}

func (k *parking) bounded() error {
	if k.trying {
		return nil
	}
	if n := k.stored + int64(len(k.fresh)); n > k.most {
		return fmt.Errorf("%w: %s would park %d, and %d is the most (WithParked): look at what is parked (dead-letters), correct the program", fault.ErrTooManyParked, k.def.name, n, k.most)
	}
	return nil
}

// written says that what was to be written is.
func (k *parking) written() {
	k.stored += int64(len(k.fresh))
	k.fresh, k.known = nil, nil
}
