package fold

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// What cannot be applied does not hold up the rest: it is parked, and with it what comes
// after it in its sequence, since a row that lacks an event in the middle would be wrong.
// A sequence is the events of one stream that touch one row, which is why it takes a
// definition whose rows need no more order than that; one that needs the log's order stops.

// Sequence is the events of a stream that touch a row, or with an empty key the whole
// stream: of an event that cannot be read nobody knows which row it touches.
type Sequence struct {
	Stream es.StreamID
	Key    string
	Source string // whose stream it is, where no log says it
}

// Unit is what is parked: an event and one row that it touches, or the whole event.
type Unit struct {
	Event uuid.UUID
	Key   string
}

// Parking is what a writer knows of what its build has parked, and what it has to park. It
// is not safe for concurrent use.
type Parking struct {
	Def     *Definition
	Source  string // of all events that are judged; empty: the log says it
	Most    int64  // units
	Stored  int64
	From    map[Sequence]es.Version // what is parked, from this version on
	Skips   map[Unit]struct{}       // what is left out
	Refused map[Unit]error          // what the database does not take
	Only    *string                 // apply what touches this row alone
	Trying  bool                    // nothing is kept, so that it may be any number
	Fresh   []ParkedUnit            // to be written
	known   map[Unit]struct{}       // of fresh
	same    map[string]string       // texts of keys in the books, and those that the rows in memory have
	texts   map[Sequence]string     // keys in the books, by stream and the row's key in memory
	without map[Unit]struct{}       // skips, by the row's key in memory
}

// ParkedUnit is a unit with why it is parked; without a reason it waits behind another.
type ParkedUnit struct {
	Event    es.RecordedEvent
	Key      string
	Why      error
	Attempts int32     // before
	First    time.Time // when it was parked first; zero: now
}

// NewParking knows nothing yet. Of units it parks no more than so many.
func NewParking(d *Definition, most int64) *Parking { return &Parking{Def: d, Most: most} }

// Forget drops what is known and what was to be written.
func (k *Parking) Forget() {
	*k = Parking{Def: k.Def, Most: k.Most, Source: k.Source}
}

// Fork returns what is known, for a try of which nothing may be kept.
func (k *Parking) Fork() *Parking {
	return &Parking{Def: k.Def, Most: k.Most, Source: k.Source, Stored: k.Stored + int64(len(k.Fresh)), From: maps.Clone(k.From), Skips: k.Skips}
}

// idle reports that no event needs a look.
func (k *Parking) idle() bool {
	return len(k.From)+len(k.Skips)+len(k.Refused) == 0
}

// waits reports an event that comes after one that is parked.
func (k *Parking) waits(e *es.RecordedEvent, key string) bool {
	if len(k.From) == 0 {
		return false
	}
	from, parked := k.From[Sequence{e.Stream, key, k.Source}]
	return parked && e.Version >= from
}

// Skipped reports what is left out.
func (k *Parking) Skipped(e *es.RecordedEvent, key string) bool {
	if len(k.Skips) == 0 {
		return false
	}
	_, skipped := k.Skips[Unit{e.ID, key}]
	_, without := k.without[Unit{e.ID, key}]
	return skipped || without
}

// admit decides about an event before its rows are looked up: false when it is left out or
// parked as a whole. An event that cannot be read comes with why.
func (k *Parking) admit(e *es.RecordedEvent, why error) (bool, error) {
	if k.Skipped(e, "") {
		return false, nil
	}
	if k.waits(e, "") {
		return false, k.wait(e, "")
	}
	if why == nil {
		why = k.Refused[Unit{e.ID, ""}]
	}
	if why == nil {
		return true, nil
	}
	key := ""
	if k.Only != nil {
		key = *k.Only
	}
	return false, k.fail(e, key, why)
}

// admitRow decides about a row that an event touches, by its key; text is that key as the
// event has it.
func (k *Parking) admitRow(e *es.RecordedEvent, row, text string) (bool, error) {
	key := k.text(e.Stream, row)
	switch {
	case k.Only != nil && k.inMemory(*k.Only) != row || k.Skipped(e, row):
		return false, nil
	case k.waits(e, ""): // behind one of this batch
		return false, k.wait(e, "")
	case k.waits(e, key):
		return false, k.wait(e, key)
	case len(k.Refused) > 0 && k.Refused[Unit{e.ID, text}] != nil:
		return false, k.fail(e, key, k.Refused[Unit{e.ID, text}])
	default:
		return true, nil
	}
}

// wait parks an event behind another.
func (k *Parking) wait(e *es.RecordedEvent, key string) error {
	k.park(e, key, nil)
	return k.bounded()
}

// Keys are the texts in the books that may be other texts of the rows that some events
// touch. What is skipped of another event is left out: it may be of a version whose keys are
// of another type.
func (k *Parking) Keys(touched map[uuid.UUID][]string) []string {
	var keys []string
	for s := range k.From {
		if s.Key != "" {
			keys = append(keys, s.Key)
		}
	}
	for u := range k.Skips {
		if rows := touched[u.Event]; u.Key != "" && len(rows) > 0 && !slices.Contains(rows, u.Key) {
			keys = append(keys, u.Key)
		}
	}
	if k.Only != nil {
		keys = append(keys, *k.Only)
	}
	slices.Sort(keys)
	return keys
}

// unify learns which texts mean which rows, where they are not the same.
func (k *Parking) unify(same map[string]string) {
	k.same, k.texts, k.without = same, nil, nil
	for s := range k.From {
		if row := k.inMemory(s.Key); row != s.Key {
			if k.texts == nil {
				k.texts = map[Sequence]string{}
			}
			k.texts[Sequence{s.Stream, row, k.Source}] = s.Key
		}
	}
	for u := range k.Skips {
		if row := k.inMemory(u.Key); row != u.Key {
			if k.without == nil {
				k.without = map[Unit]struct{}{}
			}
			k.without[Unit{u.Event, row}] = struct{}{}
		}
	}
}

// inMemory returns the key by which memory has the row of a key in the books.
func (k *Parking) inMemory(key string) string {
	if row, known := k.same[key]; known {
		return row
	}
	return key
}

// text returns the key by which the books have a stream's events of a row: a sequence keeps
// the one that it began with.
func (k *Parking) text(stream es.StreamID, row string) string {
	if k.Only != nil {
		return *k.Only
	}
	if key, known := k.texts[Sequence{stream, row, k.Source}]; known {
		return key
	}
	return row
}

// fail parks what cannot be applied, or returns why the batch fails.
func (k *Parking) fail(e *es.RecordedEvent, key string, why error) error {
	failure := &fault.EventError{Projection: k.Def.Name, Version: k.Def.Version, Event: e.Recorded, Err: why}
	if !k.Parks() || errors.Is(why, fault.ErrRetry) {
		return failure
	}
	k.park(e, key, why)
	if err := k.bounded(); err != nil {
		return fmt.Errorf("%w: %w", err, failure)
	}
	return nil
}

// Parks reports a definition that goes on behind what cannot be applied.
func (k *Parking) Parks() bool { return k.Most > 0 && k.Def.Order != LogOrder }

func (k *Parking) park(e *es.RecordedEvent, key string, why error) {
	u, s := Unit{e.ID, key}, Sequence{e.Stream, key, k.Source}
	if _, known := k.known[u]; known { // of an earlier pass over the log
		return
	}
	if k.known == nil {
		k.known = map[Unit]struct{}{}
	}
	if k.From == nil {
		k.From = map[Sequence]es.Version{}
	}
	k.known[u] = struct{}{}
	event := *e
	event.Data = slices.Clone(e.Data) // in memory that pages share
	k.Fresh = append(k.Fresh, ParkedUnit{Event: event, Key: key, Why: why})
	if _, parked := k.From[s]; !parked {
		k.From[s] = e.Version
	}
}

func (k *Parking) bounded() error {
	if k.Trying {
		return nil
	}
	if n := k.Stored + int64(len(k.Fresh)); n > k.Most {
		return fmt.Errorf("%w: %s would park %d, and %d is the most (WithParked): look at what is parked (dead-letters), correct the program", fault.ErrTooManyParked, k.Def.Name, n, k.Most)
	}
	return nil
}

// Written says that what was to be written is.
func (k *Parking) Written() {
	k.Stored += int64(len(k.Fresh))
	k.Fresh, k.known = nil, nil
}
