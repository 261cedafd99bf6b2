package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/asof-dev/asof/es"
)

// RefusedError says that a contract was not registered: by our rules, before the registry was
// asked, or by the registry.
type RefusedError struct {
	Subject string
	// Findings are why, by our rules.
	Findings []Finding
	// Answer is what the registry said; empty when it was not asked.
	Answer string
}

// Error has a line for each reason.
func (e *RefusedError) Error() string {
	if len(e.Findings) == 0 {
		return fmt.Sprintf("registry: %s: the registry refuses the contract by its own rules: %s", e.Subject, e.Answer)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "registry: %s: the contract is not compatible, and was not registered:", e.Subject)
	for _, f := range e.Findings {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// failure is an error whose text has no secret: what it is of is not wrapped, but for is.
type failure struct {
	text string
	is   error
}

func (e *failure) Error() string { return "registry: " + e.text }
func (e *failure) Unwrap() error { return e.is }

// bare is an error's text for one that has the package's name already.
func bare(err error) string { return strings.TrimPrefix(err.Error(), "registry: ") }

// failed says what has become of a call.
func (c *Client) failed(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("registry: %s: %w", doing, ctx.Err())
	}
	var answer *sr.ResponseError
	if !errors.As(err, &answer) {
		return &failure{doing + ": it cannot be reached: " + c.clean(err.Error()), es.ErrUnavailable}
	}
	said := shortened(c.clean(answer.Error()))
	text := fmt.Sprintf("%s: it answers %d: %s", doing, answer.StatusCode, said)
	switch status := answer.StatusCode; {
	case status == http.StatusNotFound && sr.IsNotFoundError(answer.ErrorCode):
		return &failure{doing + ": it is not there: " + said, es.ErrUnknownContract}
	case status == http.StatusNotFound:
		return &failure{text: text + ": is the URL that of the Confluent API, with its path?"}
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &failure{text: text + ": give the Token, or the User and Password, of somebody who may do that"}
	case status < http.StatusBadRequest:
		return &failure{text: text + ": it redirects, which is not followed: give the URL that it leads to"}
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return &failure{text, es.ErrUnavailable}
	default:
		return &failure{text: text}
	}
}

// refused is failed for a registration, of which a registry may have an opinion.
func (c *Client) refused(ctx context.Context, subject string, err error) error {
	var answer *sr.ResponseError
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusConflict || answer.StatusCode == http.StatusUnprocessableEntity) {
		return &RefusedError{Subject: subject, Answer: shortened(c.clean(answer.Error()))}
	}
	return c.failed(ctx, "register "+subject, err)
}

// shortened is one line of what a server said.
func shortened(text string) string {
	const most = 500
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
