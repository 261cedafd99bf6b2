package memstore

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/es"
)

// keepContracts keeps what events are written by.
func (s *Store) keepContracts(events []es.EventData) error {
	for i := range events {
		c := events[i].Contract
		if c == nil {
			continue
		}
		key := [2]string{c.Kind, c.Fingerprint}
		there, ok := s.contracts[key]
		if ok && !there.Same(*c) {
			return fmt.Errorf("memstore: %w: the store has another contract of kind %s with fingerprint %s: a fingerprint is to be of the text", es.ErrInvalid, c.Kind, c.Fingerprint)
		}
		if !ok {
			s.contracts[key] = *c
		}
	}
	return nil
}

// Contract returns a contract that payloads of the log were written by: see [es.Contracts].
func (s *Store) Contract(_ context.Context, kind, fingerprint string) (es.Contract, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.contracts[[2]string{kind, fingerprint}]
	if !ok {
		return es.Contract{}, fmt.Errorf("%w: %s %s: nothing in the store is written by it", es.ErrUnknownContract, kind, fingerprint)
	}
	return c, nil
}
