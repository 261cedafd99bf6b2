package fold

import (
	"context"
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// decoder turns recorded events into the service's. It is safe for concurrent use.
type decoder[E es.Event] struct {
	def   *Definition
	codec es.Codec[E]
	known map[string]bool
}

func newDecoder[E es.Event](def *Definition, codec es.Codec[E]) decoder[E] {
	d := decoder[E]{def: def, codec: codec, known: map[string]bool{}}
	for _, t := range codec.Types() {
		d.known[t] = true
	}
	return d
}

// begin prepares a context for the events of a page.
func (d *decoder[E]) begin(ctx context.Context) context.Context {
	if d.def.Contracts == nil {
		return ctx
	}
	return es.WithContracts(ctx, d.def.Contracts)
}

// Decode returns the events that were recorded as one, in memory that is used again if it is
// given back, and false for a type that the codec does not know.
func (d *decoder[E]) Decode(ctx context.Context, into []E, recorded *es.RecordedEvent) (events []E, known bool, err error) {
	if !d.known[recorded.Type] { // asking the codec would format an error for each
		return into, false, nil
	}
	events = into
	err = guard(func() error { events, err = d.codec.Decode(ctx, into, *recorded); return err })
	switch {
	case errors.Is(err, es.ErrUnknownType):
		return into, false, nil
	case passes(err):
		err = passing{err}
	}
	return events, true, err
}

// DecodeAs is Decode that says of each event what was recorded of it; none where that is the
// same of all, but for its part. Of what several messages carry each has a type of its own, and
// the number of its message; parts of types that the codec does not know are left out.
func (d *decoder[E]) DecodeAs(ctx context.Context, into []E, recorded *es.RecordedEvent) (events []E, as []es.Recorded, known bool, err error) {
	if recorded.ContentType != partsType {
		events, known, err = d.Decode(ctx, into, recorded)
		return events, nil, known, err
	}
	parts, err := split(recorded)
	if err != nil {
		return into, nil, true, err
	}
	events = into
	for i := range parts {
		more, ok, err := d.Decode(ctx, events, &parts[i])
		if err != nil {
			return into, nil, true, err
		}
		for range more[len(events):] {
			as = append(as, parts[i].Recorded)
		}
		if len(more) == len(events) { // it has its number all the same
			as = append(as, es.Recorded{})
		}
		events, known = more, known || ok
	}
	return events, numbered(as), known, nil
}

// numbered gives parts their numbers, and leaves out those that are none.
func numbered(list []es.Recorded) []es.Recorded {
	kept := list[:0]
	for i, r := range list {
		if r.Version > 0 {
			kept = append(kept, r.PartOf(i, len(list)))
		}
	}
	return kept
}

// passes reports an error that says nothing of the event. One of a newer schema is read by a
// newer program, for which this one waits.
func passes(err error) bool {
	return errors.Is(err, es.ErrNewerSchema) || errors.Is(err, es.ErrUnavailable)
}

// passing is an error that is to be tried again, in its own words.
type passing struct{ error }

func (p passing) Unwrap() []error { return []error{fault.ErrRetry, p.error} }

// guard runs the user's code and turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return f()
}
