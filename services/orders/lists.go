package orders

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/services/internal/web"
)

// summarySQL reads a page of the read model by the index of what is asked for; one
// text for all questions would leave the planner no index. Bind: $1 after, $2 limit,
// then the customer and the status where FILTER has them.
const summarySQL = `from summary.summary where order_id > $1 FILTER order by order_id limit $2`

func summaryQuery(page web.Page, customer, status string) (sql string, arguments []any) {
	var filter strings.Builder
	arguments = []any{page.After, page.Limit}
	for _, equal := range []struct{ column, value string }{{"customer", customer}, {"status", status}} {
		if equal.value != "" {
			arguments = append(arguments, equal.value)
			fmt.Fprintf(&filter, " and %s = $%d", equal.column, len(arguments))
		}
	}
	return strings.Replace(summarySQL, "FILTER", filter.String(), 1), arguments
}

func (a *App) listSummary(w http.ResponseWriter, r *http.Request) error {
	query, err := web.ReadQuery(r, "customer", "status", "after", "limit", "wait")
	if err != nil {
		return err
	}
	if status := Status(query.Text("status")); status != None && !slices.Contains(statuses(), status) {
		return web.NewProblem(http.StatusBadRequest, "query", fmt.Sprintf("status=%.40q: ask for one of %v", status, statuses()))
	}
	page, err := web.ReadPage(r.Context(), query, a.config.Store, a.summary)
	if err != nil {
		return err
	}
	sql, arguments := summaryQuery(page, query.Text("customer"), query.Text("status"))
	list, err := projections.Rows[SummaryRow](r.Context(), a.config.Store.Pool(), sql, arguments...)
	if err != nil {
		return fmt.Errorf("orders: list orders: %w", err)
	}
	return web.JSON(w, http.StatusOK, map[string][]SummaryRow{"orders": list})
}

// customersSQL reads a page by the primary key. Bind: $1 after, $2 limit.
const customersSQL = `from customers.customers where customer > $1 order by customer limit $2`

func (a *App) listCustomers(w http.ResponseWriter, r *http.Request) error {
	query, err := web.ReadQuery(r, "after", "limit", "wait")
	if err != nil {
		return err
	}
	page, err := web.ReadPage(r.Context(), query, a.config.Store, a.customers)
	if err != nil {
		return err
	}
	list, err := projections.Rows[CustomerRow](r.Context(), a.config.Store.Pool(), customersSQL, page.After, page.Limit)
	if err != nil {
		return fmt.Errorf("orders: list customers: %w", err)
	}
	return web.JSON(w, http.StatusOK, map[string][]CustomerRow{"customers": list})
}

// customerSQL reads one row. Bind: $1 customer.
const customerSQL = `from customers.customers where customer = $1`

func (a *App) getCustomer(w http.ResponseWriter, r *http.Request) error {
	customer := r.PathValue("customer")
	if err := checkName("customer", customer); err != nil {
		return err
	}
	query, err := web.ReadQuery(r, "wait")
	if err != nil {
		return err
	}
	if _, err := web.ReadPage(r.Context(), query, a.config.Store, a.customers); err != nil {
		return err
	}
	list, err := projections.Rows[CustomerRow](r.Context(), a.config.Store.Pool(), customerSQL, customer)
	if err != nil {
		return fmt.Errorf("orders: read customer %s: %w", customer, err)
	}
	if len(list) == 0 {
		return web.NewProblem(http.StatusNotFound, "not-found", "customer "+customer+" has no orders that the read model has seen")
	}
	return web.JSON(w, http.StatusOK, list[0])
}
