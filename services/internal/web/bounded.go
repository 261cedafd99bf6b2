package web

import (
	"context"
	"errors"
	"time"
)

// requestTime is how long a request may take, with its body: less than the server
// gives the answer, so that there is always one.
const requestTime = 25 * time.Second

var errStopping = errors.New("web: the service stops")

// servingKey holds what ends when requests have to end.
type servingKey struct{}

// bounded returns the context of one request. It outlives the connection, and ends
// after requestTime or with the server.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	request, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	release := func() bool { return true }
	if serving, ok := ctx.Value(servingKey{}).(context.Context); ok {
		release = context.AfterFunc(serving, func() { cancel(errStopping) })
	}
	limited, end := context.WithTimeout(request, requestTime)
	return limited, func() {
		release()
		end()
		cancel(context.Canceled)
	}
}
