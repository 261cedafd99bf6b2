package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/services/internal/web"
	"github.com/asof-dev/asof/services/internal/webtest"
)

func api() web.API {
	return web.API{Log: slog.New(slog.DiscardHandler), Explain: func(error) *web.Problem { return nil }}
}

func client(t testing.TB, pattern string, f func(w http.ResponseWriter, r *http.Request) error) webtest.Client {
	mux := http.NewServeMux()
	mux.Handle(pattern, api().Handle(f))
	server := httptest.NewServer(api().Root(mux))
	t.Cleanup(server.Close)
	return webtest.Client{URL: server.URL}
}

func TestServe_finishes_what_is_under_way(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	listener, err := web.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	served, answered := make(chan error, 1), make(chan error, 1)
	go func() {
		served <- web.Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			<-finish
			if r.Context().Err() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
	}()
	c := webtest.Client{URL: "http://" + listener.Addr().String()}
	go func() {
		answer, err := c.Do(t, "GET", "/", nil)
		if err == nil && answer.Status != http.StatusOK {
			err = errors.New("the request did not outlive the server's context")
		}
		answered <- err
	}()
	<-begun
	stop()
	select {
	case err := <-served:
		t.Fatalf("stopped with a request under way: %v", err)
	case <-time.After(50 * time.Millisecond): // long enough to be caught by, and no wait for anything
	}
	close(finish)
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t, "GET", "/", nil); err == nil {
		t.Fatal("it still takes requests")
	}
}

func TestListen_says_what_to_do_when_the_address_is_taken(t *testing.T) {
	t.Parallel()
	first, err := web.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := web.Listen(t.Context(), first.Addr().String()); err == nil || !strings.Contains(err.Error(), "choose another host:port") {
		t.Fatal(err)
	}
}

func TestBody_refuses(t *testing.T) {
	t.Parallel()
	c := client(t, "POST /", func(w http.ResponseWriter, r *http.Request) error {
		var body struct {
			Name  string `json:"name"`
			Count int64  `json:"count"`
		}
		if err := web.Body(w, r, &body); err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, body)
	})
	c.Ask(t, 200, "POST", "/", ` {"name":"tea","count":3} `, nil)
	for _, body := range []string{
		``, ` `, `{`, `{"name"`, `{"name":"tea"`, `nonsense`, `[]`, `"tea"`, `12`, `{"name":7}`, `{"count":"7"}`, `{"count":1.5}`,
		`{"count":99999999999999999999}`, `{"nam":"tea"}`, `{"name":"tea"}{}`, `{"name":"tea"} x`, "\xff",
	} {
		c.Refused(t, 400, "malformed", "POST", "/", body)
	}
	c.Refused(t, 413, "too-large", "POST", "/", `{"name":"`+strings.Repeat("x", web.MaxBody)+`"}`)
	c.Refused(t, 413, "too-large", "POST", "/", `{"name":"tea"}`+strings.Repeat(" ", web.MaxBody))
	c.With("Content-Type", "text/plain").Refused(t, 415, "media-type", "POST", "/", `{"name":"tea"}`)
}

func TestHandle_hides_what_is_not_the_clients(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(w http.ResponseWriter, r *http.Request) error{
		"error": func(http.ResponseWriter, *http.Request) error { return errors.New("password=secret") },
		"panic": func(http.ResponseWriter, *http.Request) error { panic("password=secret") },
	} {
		answer := client(t, "GET /", f).Refused(t, 500, "internal", "GET", "/", nil)
		if strings.Contains(string(answer.Body), "secret") {
			t.Errorf("%s: %s", name, answer.Body)
		}
	}
}

func TestRoot_answers_in_problems_where_nothing_is_served(t *testing.T) {
	t.Parallel()
	c := client(t, "GET /tea/{id}", func(w http.ResponseWriter, _ *http.Request) error { return web.JSON(w, 200, "tea") })
	c.Ask(t, 200, "GET", "/tea/1", nil, nil)
	c.Refused(t, 404, "not-found", "GET", "/coffee", nil)
	answer := c.Refused(t, 405, "method-not-allowed", "DELETE", "/tea/1", nil)
	if allow := answer.Header.Get("Allow"); !strings.Contains(allow, "GET") {
		t.Errorf("Allow: %q", allow)
	}
}

func TestRoot_puts_metadata_into_the_context(t *testing.T) {
	t.Parallel()
	c := client(t, "GET /", func(w http.ResponseWriter, r *http.Request) error {
		return web.JSON(w, 200, es.MetadataFrom(r.Context()))
	})
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var m es.Metadata
	answer := c.With("X-Correlation-ID", "c-1").With("Traceparent", parent).With("Tracestate", "a=b").Ask(t, 200, "GET", "/", nil, &m)
	if m.CorrelationID != "c-1" || m.TraceParent != parent || m.TraceState != "a=b" || answer.Header.Get("X-Correlation-ID") != "c-1" {
		t.Errorf("%+v, answered %v", m, answer.Header)
	}
	m = es.Metadata{}
	answer = c.With("Traceparent", "nonsense").Ask(t, 200, "GET", "/", nil, &m)
	if m.CorrelationID == "" || m.CorrelationID != answer.Header.Get("X-Correlation-ID") || m.TraceParent != "" {
		t.Errorf("%+v, answered %v", m, answer.Header)
	}
	c.With("X-Correlation-ID", "with space").Refused(t, 400, "correlation", "GET", "/", nil)
	c.With("X-Correlation-ID", strings.Repeat("x", 129)).Refused(t, 400, "correlation", "GET", "/", nil)
}
