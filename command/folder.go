package command

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// folder folds streams of a category, side by side.
type folder interface {
	decode(e *es.RecordedEvent) error
	evolve(e *es.RecordedEvent) error
	// ids are the streams that it has states of, sorted.
	ids() []string
	digest(id string) (stateDigest, error)
	forget()
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

func (f *folding[S, E]) decode(e *es.RecordedEvent) error {
	return guard(func() error {
		_, err := f.decider.Codec.Decode(*e)
		return err
	})
}

func (f *folding[S, E]) evolve(e *es.RecordedEvent) error {
	return guard(func() error {
		event, err := f.decider.Codec.Decode(*e)
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
		s.Value, s.Version = f.decider.Evolve(s.Value, event), e.Version
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
	text, err := json.Marshal(s.Value)
	if err != nil {
		return stateDigest{}, fmt.Errorf("command: the state of %s/%s as JSON: %w", f.decider.Category, id, err)
	}
	sum := sha256.Sum256(text)
	return stateDigest{f.decider.Category, id, s.Version, hex.EncodeToString(sum[:16])}, nil
}

func (f *folding[S, E]) forget() { clear(f.states) }
