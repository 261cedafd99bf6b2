package fold

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// decoder turns recorded events into the service's. It is safe for concurrent use.
type decoder[E es.Event] struct {
	codec es.Codec[E]
	known map[string]bool
}

func newDecoder[E es.Event](codec es.Codec[E]) decoder[E] {
	d := decoder[E]{codec: codec, known: map[string]bool{}}
	for _, t := range codec.Types() {
		d.known[t] = true
	}
	return d
}

// Decode returns false for an event of a type that the codec does not know.
func (d *decoder[E]) Decode(recorded *es.RecordedEvent) (event E, known bool, err error) {
	if !d.known[recorded.Type] { // asking the codec would format an error for each
		return event, false, nil
	}
	err = guard(func() error { event, err = d.codec.Decode(*recorded); return err })
	switch {
	case errors.Is(err, es.ErrUnknownType):
		return event, false, nil
	case errors.Is(err, es.ErrNewerSchema): // a newer program reads it: this one waits for that
		err = passing{err}
	}
	return event, true, err
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
