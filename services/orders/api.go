package orders

import (
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/services/internal/web"
)

// Handler returns the HTTP API: see the package's description.
func (a *App) Handler() http.Handler {
	api := web.API{Log: a.config.Log, Explain: explain}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /orders":              a.place,
		"POST /orders/{id}/pay":     a.pay,
		"POST /orders/{id}/ship":    a.ship,
		"POST /orders/{id}/cancel":  a.cancel,
		"GET /orders/{id}":          a.get,
		"GET /orders/{id}/history":  a.history,
		"GET /orders":               a.listSummary,
		"GET /customers":            a.listCustomers,
		"GET /customers/{customer}": a.getCustomer,
		"GET /healthz":              web.Healthz(a.config.Store.Pool()),
	} {
		mux.Handle(pattern, api.Handle(handle))
	}
	return api.Root(mux)
}

// explain maps what the service refuses to HTTP.
func explain(err error) *web.Problem {
	for _, known := range []struct {
		err    error
		status int
		code   string
	}{
		{ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
		{ErrNotFound, http.StatusNotFound, "not-found"},
		{ErrOtherOrder, http.StatusUnprocessableEntity, "idempotency-key-reused"},
		{ErrWrongPayment, http.StatusUnprocessableEntity, "wrong-payment"},
		{ErrOtherPayment, http.StatusUnprocessableEntity, "reference-reused"},
		{ErrOtherReason, http.StatusConflict, "cancelled"},
		{ErrNotReserved, http.StatusConflict, "not-reserved"},
		{ErrRejected, http.StatusConflict, "rejected"},
		{ErrNotPaid, http.StatusConflict, "not-paid"},
		{ErrPaid, http.StatusConflict, "paid"},
		{ErrShipped, http.StatusConflict, "shipped"},
		{ErrCancelled, http.StatusConflict, "cancelled"},
	} {
		if errors.Is(err, known.err) {
			return web.Because(known.status, known.code, err)
		}
	}
	return nil
}

// view is an order as the API shows it.
type view struct {
	ID         string      `json:"id"`
	Version    es.Version  `json:"version"`
	Position   es.Position `json:"position"` // of the last event: see wait
	RecordedAt web.Time    `json:"recorded_at"`
	Order
}

func viewOf(s aggregates.State[Order]) view {
	return view{ID: s.ID, Version: s.Version, Position: s.Position, RecordedAt: web.Time(s.RecordedAt), Order: s.Value}
}

func (a *App) place(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Customer string `json:"customer"`
		Items    []Item `json:"items"`
	}
	if err := web.Body(w, r, &body); err != nil {
		return err
	}
	if err := checkPlacement(body.Customer, body.Items); err != nil {
		return err
	}
	id, err := orderID(body.Customer, r)
	if err != nil {
		return err
	}
	status := http.StatusOK
	state, err := a.orders.Decide(r.Context(), id, func(o Order) ([]Event, error) {
		events, err := Place(body.Customer, body.Items)(o)
		if status = http.StatusOK; len(events) > 0 {
			status = http.StatusCreated
		}
		return events, err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/orders/"+id)
	return web.JSON(w, status, viewOf(state))
}

// orderID follows from the idempotency key, so that a repeated request meets the
// order that the first one made. A customer's keys are the customer's own.
func orderID(customer string, r *http.Request) (string, error) {
	key, err := web.IdempotencyKey(r)
	if err != nil {
		return "", err
	}
	if key == "" {
		return es.NewID().String(), nil
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("asof:orders\n"+customer+"\n"+key)).String(), nil
}

func (a *App) pay(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Reference string `json:"reference"`
		Cents     int64  `json:"cents"`
	}
	if err := web.Body(w, r, &body); err != nil {
		return err
	}
	if err := checkText("reference", body.Reference); err != nil {
		return err
	}
	return a.decide(w, r, Pay(body.Reference, body.Cents))
}

func (a *App) ship(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Tracking string `json:"tracking"`
	}
	if err := web.Body(w, r, &body); err != nil {
		return err
	}
	if err := checkText("tracking", body.Tracking); err != nil {
		return err
	}
	return a.decide(w, r, Ship(body.Tracking))
}

func (a *App) cancel(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := web.Body(w, r, &body); err != nil {
		return err
	}
	if err := checkText("reason", body.Reason); err != nil {
		return err
	}
	return a.decide(w, r, Cancel(body.Reason))
}

func (a *App) decide(w http.ResponseWriter, r *http.Request, decide func(Order) ([]Event, error)) error {
	state, err := a.orders.Decide(r.Context(), r.PathValue("id"), decide)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewOf(state))
}
