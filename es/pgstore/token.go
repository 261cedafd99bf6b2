package pgstore

import (
	"context"

	"github.com/asof-dev/asof/es"
)

// Token names an event that the store has recorded, such as one that Append has returned.
// It costs no round trip but the first in a run of the server.
func (s *Store) Token(ctx context.Context, r es.Recorded) (es.Token, error) {
	life, err := s.Life(ctx)
	return es.Token{Life: life, Position: r.Position, Stream: r.Stream, Version: r.Version}, err
}
