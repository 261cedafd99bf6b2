package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
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
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("X-Content-Type-Options", "nosniff")
	if p.retryAfter != "" {
		header.Set("Retry-After", p.retryAfter)
	}
	w.WriteHeader(p.Status)
	body, _ := json.Marshal(p)         //nolint:errchkjson // texts and numbers
	_, _ = w.Write(append(body, '\n')) // nobody is left to tell
}

// explain is what the framework's errors are to a client, when the service says
// nothing else. What stays is an error of the program or of the database, whose text
// is for the log alone.
func explain(err error) *Problem {
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
		return NewProblem(http.StatusServiceUnavailable, "busy", "too many requests change the same thing: send the request again").Later()
	case unavailable(err):
		return NewProblem(http.StatusServiceUnavailable, "unavailable", "the database does not answer: send the request again").Later()
	}
	return NewProblem(http.StatusInternalServerError, "internal", "the request failed and the log says why; it may have been carried out: look, or send it again as it was")
}

// unavailable reports that the database was not reached, broke off or shuts down.
func unavailable(err error) bool {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok { // classes of PostgreSQL's appendix A
		return slices.Contains([]string{"08", "53", "57"}, server.Code[:2])
	}
	_, unreachable := errors.AsType[*pgconn.ConnectError](err)
	_, broken := errors.AsType[net.Error](err)
	return unreachable || broken || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}
