package aggregates

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"time"

	"github.com/asof-dev/asof/es"
)

// past is what one decision has read of its aggregate's stream. After a conflict it
// goes on from where it stands, with the events that came in between.
//
// A decision must not change the state that it looks at. One that does, by a slice
// that it sorts or a map that it deletes from, must not spoil what it sees next
// time: so a state that holds references is made anew, from the stored events, which
// are kept for that. A state without references was handed out as a copy.
type past[S any, E es.Event] struct {
	repository *Repository[S, E]
	state      State[S]           // where it stands; a value with references is not used again
	kept       []es.RecordedEvent // the beginning of the stream
	bytes      int
	full       bool // the rest of the stream is not kept, but read again
}

// What a decision keeps of a stream is bounded.
const (
	keepBytes = 1 << 20
	keepEach  = 256 // what an event takes besides its payload
)

func (r *Repository[S, E]) past(id string) *past[S, E] {
	return &past[S, E]{repository: r, state: r.decider.initial(id), full: r.options.attempts == 1}
}

// now returns what the aggregate is now; its initial state when it has no events.
func (p *past[S, E]) now(ctx context.Context) (State[S], error) {
	r := p.repository
	var state State[S]
	var err error
	if r.values {
		state, err = r.fold(ctx, p.state, r.after(ctx, p.state), nil, nil)
	} else {
		begin := r.decider.initial(p.state.ID)
		state, err = r.fold(ctx, begin, p.again(ctx, begin), nil, nil)
	}
	if err != nil && (state.Version > 0 || !errors.Is(err, es.ErrStreamNotFound)) {
		return State[S]{}, wrap("load", err)
	}
	p.state = state
	return state, nil
}

// again yields the events that are kept, and then those that came after them.
func (p *past[S, E]) again(ctx context.Context, state State[S]) iter.Seq2[es.RecordedEvent, error] {
	return func(yield func(es.RecordedEvent, error) bool) {
		for _, e := range p.kept {
			if !yield(e, nil) {
				return
			}
			state.Version = e.Version
		}
		for e, err := range p.repository.after(ctx, state) {
			if err == nil {
				p.keep(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (p *past[S, E]) keep(e es.RecordedEvent) {
	p.bytes += len(e.Data) + keepEach
	p.full = p.full || p.bytes > keepBytes
	if !p.full {
		p.kept = append(p.kept, e)
	}
}

// ofValues reports whether a copy of a value of the type shares nothing with it that
// can be changed.
func ofValues(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return ofValues(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() { // its location does not change
			return true
		}
		for f := range t.Fields() {
			if !ofValues(f.Type) {
				return false
			}
		}
		return true
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return false
	default:
		return true
	}
}
