package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// Problem is an error as a client sees it, the body of application/problem+json.
//
//nolint:errname // the word of RFC 9457
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code names the problem for programs and does not change.
	Code string `json:"code"`
	// Detail says what is wrong and what to do.
	Detail string `json:"detail"`

	retryAfter string // seconds
}

func (p *Problem) Error() string { return p.Detail }

// NewProblem returns a problem with the title that HTTP gives the status.
func NewProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// Because returns a problem whose detail is the text of err.
func Because(status int, code string, err error) *Problem {
	return NewProblem(status, code, err.Error())
}

// Later marks a problem that passes by itself.
func (p *Problem) Later() *Problem {
	p.retryAfter = "1"
	return p
}

func (p *Problem) write(w http.ResponseWriter) {
	if p.retryAfter != "" {
		w.Header().Set("Retry-After", p.retryAfter)
	}
	if p.Status == http.StatusRequestTimeout { // the rest of the request may still come
		w.Header().Set("Connection", "close")
	}
	body, _ := json.Marshal(p) //nolint:errchkjson // texts and numbers
	write(w, p.Status, "application/problem+json", append(body, '\n'))
}

// explain is what the framework's errors are to a client, when the service says
// nothing else. What stays is an error of the program or of the database, whose text
// is for the log alone.
func explain(r *http.Request, err error) *Problem {
	var problem *Problem
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.Is(err, es.ErrStreamNotFound):
		return Because(http.StatusNotFound, "not-found", err)
	case errors.Is(err, es.ErrNotSettled):
		return NewProblem(http.StatusUnprocessableEntity, "not-settled", fmt.Sprintf("%v: ask for a moment that has passed", err))
	case errors.Is(err, es.ErrInvalid):
		return Because(http.StatusBadRequest, "invalid", err)
	case errors.Is(err, es.ErrConflict), errors.Is(err, es.ErrRetry):
		return NewProblem(http.StatusServiceUnavailable, "busy", "too many requests change the same thing, and nothing was done: send the request again").Later()
	case context.Cause(r.Context()) == errStopping: //nolint:errorlint,err113 // it is given as it is
		return NewProblem(http.StatusServiceUnavailable, "stopping", "the service stops before the request is done: "+again(r)).Later()
	case pg.OnlyByOperator(err):
		return NewProblem(http.StatusServiceUnavailable, "not-ready", "the service's operator has something to do first, and the log says what: "+again(r)).Later()
	case unavailable(err):
		return NewProblem(http.StatusServiceUnavailable, "unavailable", "the database does not answer: "+again(r)).Later()
	}
	return NewProblem(http.StatusInternalServerError, "internal", "the request failed and the log says why: "+again(r))
}

// again says what to do when it is not known what was done.
func again(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return "send the request again"
	}
	return "it may have been carried out: look, or send it again as it was, if it has an Idempotency-Key or a reference"
}

// unavailable reports that the database was not reached, did not answer in time,
// broke off or shuts down.
func unavailable(err error) bool {
	_, broken := errors.AsType[net.Error](err)
	return broken || pg.Unreachable(err) || pg.Is(err, pg.QueryCanceled) || strings.HasPrefix(pg.Code(err), "53") ||
		errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}
