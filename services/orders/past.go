package orders

import (
	"net/http"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/services/internal/web"
)

// get answers with the order now, or as it was at a moment.
func (a *App) get(w http.ResponseWriter, r *http.Request) error {
	state, err := web.Load(r, a.orders, r.PathValue("id"))
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
