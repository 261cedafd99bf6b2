package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// Load loads an aggregate as the query asks for it: now, or as of one of at, version
// and position. It waits for a while until the moment is final.
func Load[S any, E es.Event](r *http.Request, repository *aggregates.Repository[S, E], id string) (aggregates.State[S], error) {
	query, err := ReadQuery(r, "at", "version", "position")
	if err != nil {
		return aggregates.State[S]{}, err
	}
	moment, past, err := query.asOf()
	if err != nil {
		return aggregates.State[S]{}, err
	}
	if !past {
		return repository.Load(r.Context(), id)
	}
	ctx, cancel := context.WithTimeout(r.Context(), readWait)
	defer cancel()
	state, err := repository.LoadAsOf(ctx, id, moment)
	if errors.Is(err, context.DeadlineExceeded) {
		err = NewProblem(http.StatusServiceUnavailable, "not-final",
			fmt.Sprintf("an append that stays open may belong to %s: `status` names it; ask again", moment)).Later()
	}
	return state, err
}
