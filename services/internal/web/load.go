package web

import (
	"net/http"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// Load loads an aggregate as the query asks for it: now, or as of one of at, version
// and position.
func Load[S any, E es.Event](r *http.Request, repository *aggregates.Repository[S, E], id string) (aggregates.State[S], error) {
	query, err := ReadQuery(r, "at", "version", "position")
	if err != nil {
		return aggregates.State[S]{}, err
	}
	moment, past, err := query.asOf()
	if err != nil {
		return aggregates.State[S]{}, err
	}
	if past {
		return repository.LoadAsOf(r.Context(), id, moment)
	}
	return repository.Load(r.Context(), id)
}
