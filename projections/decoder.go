package projections

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
)

// decoder turns recorded events into the service's. It is safe for concurrent use.
type decoder[E es.Event] struct {
	codec   es.Codec[E]
	known   map[string]bool
	name    string
	version int
}

func newDecoder[E es.Event](name string, version int, codec es.Codec[E]) decoder[E] {
	d := decoder[E]{codec: codec, known: map[string]bool{}, name: name, version: version}
	for _, t := range codec.Types() {
		d.known[t] = true
	}
	return d
}

// decode returns false for an event of a type that the codec does not know.
func (d *decoder[E]) decode(recorded es.RecordedEvent) (E, bool, error) {
	var none E
	if !d.known[recorded.Type] { // asking the codec would format an error for each
		return none, false, nil
	}
	event, err := d.codec.Decode(recorded)
	if errors.Is(err, es.ErrUnknownType) {
		return none, false, nil
	}
	if err != nil {
		return none, false, d.fail(recorded.Recorded, err)
	}
	return event, true, nil
}

func (d *decoder[E]) fail(r es.Recorded, err error) error {
	return &EventError{Projection: d.name, Version: d.version, Event: r, Err: err}
}

// guard runs the user's code and turns a panic into an error that names the event.
func (d *decoder[E]) guard(r *es.Recorded, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = d.fail(*r, fmt.Errorf("panic: %v", v))
		}
	}()
	if err := f(); err != nil {
		return d.fail(*r, err)
	}
	return nil
}
