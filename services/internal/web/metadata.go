package web

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/asof-dev/asof/es"
)

// CorrelationHeader carries the id that all which follows from a request shares. A
// request without one gets a new one; the answer names it.
const CorrelationHeader = "X-Correlation-ID"

var (
	correlation = regexp.MustCompile(`^[!-~]{1,128}$`)
	traceparent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
	tracestate  = regexp.MustCompile(`^[ -~]{0,512}$`)
)

// withMetadata puts correlation and W3C trace context from the headers into the
// request's context. A broken trace context is left out, as its standard says.
func withMetadata(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := es.Metadata{CorrelationID: r.Header.Get(CorrelationHeader)}
		if m.CorrelationID == "" {
			m.CorrelationID = es.NewID().String()
		} else if !correlation.MatchString(m.CorrelationID) {
			NewProblem(http.StatusBadRequest, "correlation", CorrelationHeader+": give 1 to 128 printable ASCII characters without spaces").write(w)
			return
		}
		if parent := r.Header.Get("Traceparent"); traceparent.MatchString(parent) {
			m.TraceParent = parent
			if state := strings.Join(r.Header.Values("Tracestate"), ","); tracestate.MatchString(state) {
				m.TraceState = state
			}
		}
		w.Header().Set(CorrelationHeader, m.CorrelationID)
		next.ServeHTTP(w, r.WithContext(es.WithMetadata(r.Context(), m)))
	})
}
