package orders

import (
	"net/http"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/services/internal/web"
)

// get answers with the order now, or as it was at a moment.
func (a *App) get(w http.ResponseWriter, r *http.Request) error {
	query, err := web.ReadQuery(r, "at", "version", "position")
	if err != nil {
		return err
	}
	moment, past, err := query.AsOf()
	if err != nil {
		return err
	}
	var state aggregates.State[Order]
	if past {
		state, err = a.orders.LoadAsOf(r.Context(), r.PathValue("id"), moment)
	} else {
		state, err = a.orders.Load(r.Context(), r.PathValue("id"))
	}
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewOf(state))
}

// entry is an event of an order's history.
type entry struct {
	Version       es.Version  `json:"version"`
	Position      es.Position `json:"position"`
	RecordedAt    web.Time    `json:"recorded_at"`
	Type          string      `json:"type"`
	Event         Event       `json:"event"`
	Status        Status      `json:"status"` // after the event
	CorrelationID string      `json:"correlation_id,omitempty"`
	CausationID   string      `json:"causation_id,omitempty"`
}

func (a *App) history(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ReadQuery(r); err != nil {
		return err
	}
	var list []entry
	for step, err := range a.orders.History(r.Context(), r.PathValue("id")) {
		if err != nil {
			return err
		}
		list = append(list, entry{
			Version: step.Recorded.Version, Position: step.Recorded.Position, RecordedAt: web.Time(step.Recorded.RecordedAt),
			Type: step.Recorded.Type, Event: step.Event, Status: step.State.Value.Status,
			CorrelationID: step.Recorded.Metadata.CorrelationID, CausationID: step.Recorded.Metadata.CausationID,
		})
	}
	return web.JSON(w, http.StatusOK, map[string][]entry{"events": list})
}
