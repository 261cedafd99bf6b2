package registry

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/asof-dev/asof/internal/wait"
)

const (
	tries      = 3
	firstPause = 100 * time.Millisecond
	// mostAnswer is how many bytes of an answer are read: a contract of a MiB, escaped.
	mostAnswer = 16 << 20
)

// patient tries a request again that did not reach the registry, or that it had no time for.
// Each of the API's requests may come twice: what is registered already keeps its id.
type patient struct{ next http.RoundTripper }

// RoundTrip sends the request up to three times. What is out of service after that is an error,
// so that the library goes on to the next URL.
func (p patient) RoundTrip(req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := p.next.RoundTrip(req)
		if err == nil && !passing(resp.StatusCode) {
			resp.Body = limited{io.LimitReader(resp.Body, mostAnswer), resp.Body}
			return resp, nil
		}
		if err == nil {
			_ = resp.Body.Close()
			err = fmt.Errorf("it answers %s", resp.Status)
		}
		if try == tries {
			return nil, err
		}
		if wait.For(req.Context(), firstPause<<(try-1)) != nil {
			return nil, err
		}
		if req, err = again(req); err != nil {
			return nil, err
		}
	}
}

// passing are answers that say: later. (500 is not among them: registries give it for what they
// will never do.)
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// again is the request with its body from the beginning.
func again(req *http.Request) (*http.Request, error) {
	if req.GetBody == nil {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	next := req.Clone(req.Context())
	next.Body = body
	return next, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// basic is the login as the header has it.
func basic(user, password string) string {
	if user == "" {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}
