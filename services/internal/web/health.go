package web

import (
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Healthz answers 204 when the database answers.
func Healthz(pool *pgxpool.Pool) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := pool.Ping(r.Context()); err != nil {
			return fmt.Errorf("web: health: %w", err)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
