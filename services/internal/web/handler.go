package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// API turns functions that return errors into handlers.
type API struct {
	Log *slog.Logger
	// Explain returns what a service's own error is to a client, or nil.
	Explain func(error) *Problem
}

// Handle returns the handler that runs f. What f returns, or panics with, becomes a
// problem, so f writes nothing before it is sure to succeed.
//
// Every request is answered: f goes on when the client's side of the connection ends,
// as nothing tells a client that is gone from one that has only said all it has to
// say. Its context ends after [requestTime], or when the server has to stop.
func (a API) Handle(f func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := bounded(r.Context())
		defer cancel()
		r, answer := r.WithContext(ctx), &answer{ResponseWriter: w}
		err := guarded(f, answer, r)
		if err == nil && !answer.begun { // net/http would say 200
			err = errNoAnswer
		}
		if err != nil {
			a.fail(answer, r, err)
		}
	})
}

var errNoAnswer = errors.New("web: the handler returned neither an answer nor an error")

func guarded(f func(w http.ResponseWriter, r *http.Request) error, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v == http.ErrAbortHandler { //nolint:errorlint,err113 // it is thrown as it is
			panic(v)
		} else if v != nil {
			err = fmt.Errorf("web: panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f(w, r)
}

func (a API) fail(w *answer, r *http.Request, err error) {
	problem := a.Explain(err)
	if problem == nil {
		problem = explain(r, err)
	}
	level := slog.LevelDebug
	if problem.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	a.Log.Log(r.Context(), level, "request refused", "method", r.Method, "path", r.URL.Path, "status", problem.Status, "code", problem.Code, "error", err)
	if w.begun { // what was sent cannot be taken back, but nobody shall take it for the whole
		panic(http.ErrAbortHandler)
	}
	problem.write(w)
}

// answer notes whether a status was sent.
type answer struct {
	http.ResponseWriter

	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = a.begun || status >= http.StatusOK // below there are only hints
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap lets [http.ResponseController] and [Body] reach the server's own.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Root is the mux with metadata from the headers, and with problems in the place of
// its plain texts for what it does not serve. A path with empty or dot segments is not
// served; the mux would redirect, and lose the body or a part of the path with some
// clients.
func (a API) Root(mux *http.ServeMux) http.Handler {
	return withMetadata(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		refused := &refusal{header: http.Header{}}
		if straight, crooked := straighten(r.URL); crooked {
			NewProblem(http.StatusNotFound, "not-found", fmt.Sprintf("there is nothing at %.200q: ask for %.200q", r.URL.EscapedPath(), straight)).write(w)
			return
		}
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(refused, r)
		problem := NewProblem(http.StatusNotFound, "not-found", fmt.Sprintf("there is nothing at %.200q: see the service's list of paths", r.URL.Path))
		if refused.status == http.StatusMethodNotAllowed {
			allowed := refused.header.Get("Allow")
			w.Header().Set("Allow", allowed)
			problem = NewProblem(http.StatusMethodNotAllowed, "method-not-allowed", fmt.Sprintf("%.40q is not served here: use %s", r.Method, allowed))
		}
		problem.write(w)
	}))
}

// straighten returns the path without empty and dot segments, and whether it had any.
func straighten(u *url.URL) (straight string, crooked bool) {
	given := u.EscapedPath()
	straight = path.Clean("/" + given)
	if strings.HasSuffix(given, "/") && straight != "/" {
		straight += "/"
	}
	return straight, straight != given
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
	write(w, status, "application/json", append(body, '\n'))
	return nil
}

// write sends a whole answer; its length tells the client when it is cut off.
func write(w http.ResponseWriter, status int, media string, body []byte) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // nobody is left to tell
}
