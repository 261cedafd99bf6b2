package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// API turns functions that return errors into handlers.
type API struct {
	Log *slog.Logger
	// Explain returns what a service's own error is to a client, or nil.
	Explain func(error) *Problem
}

// Handle returns the handler that runs f. What f returns, or panics with, becomes a
// problem, so f writes nothing before it is sure to succeed.
func (a API) Handle(f func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := guarded(f, w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

func guarded(f func(w http.ResponseWriter, r *http.Request) error, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("web: panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f(w, r)
}

func (a API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == context.Canceled { // the client has gone
		return
	}
	problem := a.Explain(err)
	if problem == nil {
		problem = explain(err)
	}
	level := slog.LevelDebug
	if problem.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	a.Log.Log(r.Context(), level, "request refused", "method", r.Method, "path", r.URL.Path, "status", problem.Status, "code", problem.Code, "error", err)
	problem.write(w)
}

// Root is the mux with metadata from the headers, and with problems in the place of
// its plain texts for what it does not serve.
func (a API) Root(mux *http.ServeMux) http.Handler {
	return withMetadata(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		refused := &refusal{header: http.Header{}}
		handler.ServeHTTP(refused, r)
		problem := NewProblem(refused.status, "not-found", "there is nothing at "+r.URL.Path+": see the service's list of paths")
		if refused.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", refused.header.Get("Allow"))
			problem.Code, problem.Detail = "method-not-allowed", r.Method+" is not served here: use "+refused.header.Get("Allow")
		}
		problem.write(w)
	}))
}

// refusal keeps what the mux would have answered.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) Write(p []byte) (int, error) { return len(p), nil }
func (r *refusal) WriteHeader(status int)      { r.status = status }

// JSON writes the answer of a request that succeeded.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("web: encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // nobody is left to tell
	return nil
}
