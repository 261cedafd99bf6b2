package books

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
)

// pausedSQL reads whether a projection is paused. Bind: $1 name.
const pausedSQL = `select reason, since from {asof}.paused where name = $1`

// PausedAt says since when a projection is paused, and why.
type PausedAt struct {
	Reason string
	Since  time.Time
}

// Paused returns nil for a projection that is not paused.
func (k Books) Paused(ctx context.Context, db pg.Querier, name string) (*PausedAt, error) {
	var p PausedAt
	err := db.QueryRow(ctx, k.SQL(pausedSQL), name).Scan(&p.Reason, &p.Since)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // it is not paused
	case err != nil:
		return nil, err
	default:
		return &p, nil
	}
}
