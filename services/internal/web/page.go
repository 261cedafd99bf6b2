package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections"
)

// readWait is how long a reader waits: one that named a position for the read model,
// one that named a moment until it is final.
const readWait = 5 * time.Second

// Page is which part of a list is asked for.
type Page struct {
	After string // the key of the last row that the client has
	Limit int64  // 1 to 1000, 100 by default
}

// ReadPage reads after, limit and wait. With wait=POSITION it returns when the read
// model has applied the event there, which is how a client reads what it has written.
// A position at which the store has no event is refused: that nothing was written is
// no reason to answer as if it had been read.
func ReadPage(ctx context.Context, q Query, store *pgstore.Store, model *projections.Projector) (Page, error) {
	page := Page{After: q.Text("after"), Limit: 100}
	limit, given, err := q.Number("limit", 1, 1000)
	if err != nil {
		return page, err
	}
	if given {
		page.Limit = limit
	}
	position, given, err := q.Number("wait", 1, 1<<53)
	if err != nil {
		return page, err
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	if given {
		if err := exists(ctx, store, position); err != nil {
			return page, err
		}
	} else {
		position = 0 // only that there is a read model at all
	}
	err = model.WaitFor(ctx, es.Position(position))
	if errors.Is(err, context.DeadlineExceeded) {
		return page, NewProblem(http.StatusServiceUnavailable, "read-model-behind",
			fmt.Sprintf("read model %s has not applied position %d: check that `project` is running, and ask again", model.Name(), position)).Later()
	}
	return page, err
}

// headSQL reads the end of the index of positions.
const headSQL = `select coalesce(max(position), 0) from {asof}.events`

// exists refuses a position beyond the last event. One that a client had from an
// answer is committed and never is.
func exists(ctx context.Context, store *pgstore.Store, position int64) error {
	var head int64
	if err := store.Pool().QueryRow(ctx, pg.Expand(store.Schema(), headSQL)).Scan(&head); err != nil {
		return pg.Explain("web", "look for the last event", err)
	}
	if position > head {
		return NewProblem(http.StatusUnprocessableEntity, "not-settled",
			fmt.Sprintf("wait=%d: the last event is at position %d: give a position that this service has answered with", position, head))
	}
	return nil
}

var idempotencyKey = regexp.MustCompile(`^[ -~]{1,128}$`)

// IdempotencyKey returns the header of that name; empty when there is none.
func IdempotencyKey(r *http.Request) (string, error) {
	key := r.Header.Get("Idempotency-Key")
	if key != "" && !idempotencyKey.MatchString(key) {
		return "", NewProblem(http.StatusBadRequest, "idempotency-key", "Idempotency-Key: give 1 to 128 printable ASCII characters")
	}
	return key, nil
}
