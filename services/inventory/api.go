package inventory

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/services/internal/check"
	"github.com/asof-dev/asof/services/internal/web"
)

// Handler returns the HTTP API: see the package's description.
func (a *App) Handler() http.Handler {
	api := web.API{Log: a.config.Log, Explain: explain}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /products/{id}/receipts": a.receive,
		"GET /products/{id}":           a.getProduct,
		"GET /reservations/{order}":    a.getReservation,
		"GET /stock":                   a.listStock,
		"GET /stock/{product}":         a.getStock,
		"GET /healthz":                 web.Healthz(a.config.Store.Pool()),
	} {
		mux.Handle(pattern, api.Handle(handle))
	}
	return api.Root(mux)
}

// What the API refuses. The text says what to do instead.
var (
	ErrInvalid      = errors.New("inventory: invalid")
	ErrOtherReceipt = errors.New("inventory: the reference was used for a receipt of another quantity: use a new reference for a new receipt")
)

// MaxQuantity is how many pieces one receipt may have.
const MaxQuantity = 1_000_000_000

func explain(err error) *web.Problem {
	switch {
	case errors.Is(err, ErrInvalid):
		return web.Because(http.StatusUnprocessableEntity, "invalid", err)
	case errors.Is(err, ErrOtherReceipt), errors.Is(err, es.ErrDuplicateID): // ids follow from references
		return web.Because(http.StatusUnprocessableEntity, "reference-reused", ErrOtherReceipt)
	}
	return nil
}

// view is an aggregate as the API shows it.
type view[S any] struct {
	ID         string      `json:"id"`
	Version    es.Version  `json:"version"`
	Position   es.Position `json:"position"` // of the last event: see wait
	RecordedAt web.Time    `json:"recorded_at"`
	State      S           `json:"state"`
}

func viewOf[S any](s aggregates.State[S]) view[S] {
	return view[S]{s.ID, s.Version, s.Position, web.Time(s.RecordedAt), s.Value}
}

// receive records a fact, not a decision: whatever the stock is, the pieces are here.
// So it appends at any version; the event's id follows from the reference, and the
// store appends an id once.
func (a *App) receive(w http.ResponseWriter, r *http.Request) error {
	var body StockReceived
	if err := web.Body(w, r, &body); err != nil {
		return err
	}
	product := r.PathValue("id")
	if err := checkReceipt(product, body); err != nil {
		return err
	}
	stream := es.StreamID{Category: ProductDecider.Category, ID: product}
	data, err := ProductCodec.Encode(r.Context(), stream, body)
	if err != nil {
		return err
	}
	data.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte("asof:receipt\n"+product+"\n"+body.Reference))
	data.Metadata = es.MetadataFrom(r.Context())
	recorded, err := a.config.Store.Append(r.Context(), stream, es.Any, data)
	if err != nil {
		return err
	}
	// An id that was there is not compared with what stands there: do it.
	for first, err := range a.config.Store.ReadStream(r.Context(), stream, recorded[0].Version) {
		if err != nil {
			return err
		}
		if !bytes.Equal(first.Data, data.Data) {
			return ErrOtherReceipt
		}
		break
	}
	state, err := a.products.Load(r.Context(), product)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewOf(state))
}

func checkReceipt(product string, receipt StockReceived) error {
	switch err := cmp.Or(check.Name("product", product), check.Text("reference", receipt.Reference)); {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case receipt.Quantity < 1 || receipt.Quantity > MaxQuantity:
		return fmt.Errorf("%w: quantity is %d: receive 1 to %d", ErrInvalid, receipt.Quantity, MaxQuantity)
	}
	return nil
}

func (a *App) getProduct(w http.ResponseWriter, r *http.Request) error {
	state, err := web.Load(r, a.products, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewOf(state))
}

func (a *App) getReservation(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ReadQuery(r); err != nil {
		return err
	}
	state, err := a.reservations.Load(r.Context(), r.PathValue("order"))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewOf(state))
}

// stockSQL reads rows of the read model by its primary key. Bind: $1 the product or
// null, $2 after, $3 limit.
const stockSQL = `
from stock.stock where ($1::text is null or product = $1) and product > $2 order by product limit $3`

func (a *App) readStock(r *http.Request, product *string, allowed ...string) ([]StockRow, error) {
	query, err := web.ReadQuery(r, allowed...)
	if err != nil {
		return nil, err
	}
	page, err := web.ReadPage(r.Context(), query, a.config.Store, a.stock)
	if err != nil {
		return nil, err
	}
	list, err := projections.Rows[StockRow](r.Context(), a.config.Store.Pool(), stockSQL, product, page.After, page.Limit)
	if err != nil {
		return nil, fmt.Errorf("inventory: read the stock: %w", err)
	}
	return list, nil
}

func (a *App) listStock(w http.ResponseWriter, r *http.Request) error {
	list, err := a.readStock(r, nil, "after", "limit", "wait")
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string][]StockRow{"stock": list})
}

func (a *App) getStock(w http.ResponseWriter, r *http.Request) error {
	product := r.PathValue("product")
	if err := (es.StreamID{Category: ProductDecider.Category, ID: product}).Validate(); err != nil {
		return err
	}
	list, err := a.readStock(r, &product, "wait")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return web.NewProblem(http.StatusNotFound, "not-found", fmt.Sprintf("product %q has no stock that the read model has seen: receive some first", product))
	}
	return web.JSON(w, http.StatusOK, list[0])
}
