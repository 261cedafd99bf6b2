package command

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// folder folds streams of a category, side by side.
type folder interface {
	decode(ctx context.Context, e *es.RecordedEvent) error
	evolve(ctx context.Context, e *es.RecordedEvent) error
	// ids are the streams that it has states of, sorted.
	ids() []string
	digest(id string) (stateDigest, error)
	forget()
	// blind is why digests tell nothing.
	blind() error
}

// stateDigest says in a line what the state of a stream was.
type stateDigest struct {
	Category string     `json:"category"`
	ID       string     `json:"id"`
	Version  es.Version `json:"version"`
	State    string     `json:"state"` // the half of the SHA-256 of its JSON, in hex
}

type folding[S any, E es.Event] struct {
	decider aggregates.Decider[S, E]
	states  map[string]*aggregates.State[S]
}

func newFolding[S any, E es.Event](d aggregates.Decider[S, E]) folder {
	return &folding[S, E]{decider: d, states: map[string]*aggregates.State[S]{}}
}

func (f *folding[S, E]) decode(ctx context.Context, e *es.RecordedEvent) error {
	return guard(func() error {
		_, err := f.decider.Codec.Decode(ctx, nil, *e)
		return err
	})
}

func (f *folding[S, E]) evolve(ctx context.Context, e *es.RecordedEvent) error {
	return guard(func() error {
		events, err := f.decider.Codec.Decode(ctx, nil, *e)
		if err != nil {
			return err
		}
		s := f.states[e.Stream.ID]
		if s == nil {
			s = &aggregates.State[S]{ID: e.Stream.ID}
			if f.decider.Initial != nil {
				s.Value = f.decider.Initial()
			}
			f.states[e.Stream.ID] = s
		}
		for _, event := range events {
			s.Value = f.decider.Evolve(s.Value, event)
		}
		s.Version = e.Version
		return nil
	})
}

// guard makes an error of a panic of the service's code.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return f()
}

func (f *folding[S, E]) ids() []string {
	list := make([]string, 0, len(f.states))
	for id := range f.states {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

func (f *folding[S, E]) digest(id string) (stateDigest, error) {
	s := f.states[id]
	var text []byte
	err := guard(func() (err error) {
		text, err = json.Marshal(s.Value)
		return err
	})
	if err != nil {
		return stateDigest{}, fmt.Errorf("command: the state of %s/%s as JSON: %w", f.decider.Category, id, err)
	}
	sum := sha256.Sum256(text)
	return stateDigest{f.decider.Category, id, s.Version, hex.EncodeToString(sum[:16])}, nil
}

func (f *folding[S, E]) forget() { clear(f.states) }

// blind finds the state of which JSON has nothing: a struct of which no field is exported.
func (f *folding[S, E]) blind() error {
	t := reflect.TypeFor[S]()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.NumField() == 0 || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return nil
	}
	for field := range t.Fields() {
		if field.IsExported() || field.Anonymous {
			return nil
		}
	}
	return fmt.Errorf("command: of the states of category %q, which are %s, JSON has no field, so they are all alike: give the type a MarshalJSON", f.decider.Category, t)
}
