package registry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
)

func newClient(t *testing.T, c registry.Config) *registry.Client {
	t.Helper()
	client, err := registry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// server answers what the test says, and keeps what it was asked.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func newServer(t *testing.T, start func(*httptest.Server), answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	start(s.Server)
	t.Cleanup(s.Close)
	return s
}

func plain(s *httptest.Server) { s.Start() }

func says(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(text)
}

func problem(w http.ResponseWriter, status, code int, message string) {
	says(w, status, map[string]any{"error_code": code, "message": message})
}

// subject is a fake of one subject that has the given texts of Avro, of ids from 11.
func subject(t *testing.T, registered ...string) *server {
	return newServer(t, plain, func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Schema string `json:"schema"`
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &asked)
		at := slices.Index(registered, asked.Schema)
		var n int
		switch _, err := fmt.Sscanf(r.URL.Path, "/subjects/orders-value/versions/%d", &n); {
		case err == nil:
			says(w, 200, map[string]any{"version": n, "id": 10 + n, "schema": registered[n-1]})
		case len(registered) == 0 && !strings.HasSuffix(r.Method+r.URL.Path, "POST/subjects/orders-value/versions"):
			problem(w, 404, 40401, "no such subject")
		case r.Method == http.MethodGet:
			numbers := []int{}
			for i := range registered {
				numbers = append([]int{i + 1}, numbers...) // in no order
			}
			says(w, 200, numbers)
		case strings.HasSuffix(r.URL.Path, "/versions"):
			says(w, 200, map[string]any{"id": 99})
		case at < 0:
			problem(w, 404, 40403, "no such schema")
		default:
			says(w, 200, map[string]any{"version": at + 1, "id": 11 + at, "schema": registered[at]})
		}
	})
}

func TestRegister_asks_our_rules_first(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		registered    []string
		text          string
		compatibility registry.Compatibility
		id            int      // or
		findings      []string // refused
	}{
		{"the first", nil, avroText, "", 99, nil},
		{"a field with a default", []string{avroText}, avroNext, "", 99, nil},
		{"registered already", []string{avroText, avroNext}, avroText, registry.FullTransitive, 11, nil},
		{"another type", []string{avroText}, avroBroken, "", 0, []string{"field total became string (it was long): what was written by version 1 cannot be read: add a new field"}},
		{
			"another type, for consumers", []string{avroText}, avroBroken, registry.Forward, 0,
			[]string{"field total became string (it was long): consumers with version 1 cannot read it: add a new field"},
		},
		{"anything goes", []string{avroText}, avroBroken, registry.None, 99, nil},
		{"against the last alone", []string{avroBroken, avroText}, avroNext, registry.Backward, 99, nil},
		{
			"against all", []string{avroBroken, avroText}, avroNext, registry.BackwardTransitive, 0,
			[]string{"field total became long (it was string): what was written by version 1 cannot be read: add a new field"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := subject(t, c.registered...)
			client := newClient(t, registry.Config{URLs: []string{s.URL}})
			id, err := client.Register(t.Context(), orderSubject, contract("AVRO", c.text), c.compatibility)
			var refused *registry.RefusedError
			if len(c.findings) > 0 != errors.As(err, &refused) || id != c.id {
				t.Fatal(id, err)
			}
			posted := slices.Contains(s.requests(), "POST /subjects/orders-value/versions")
			if posted != (c.id == 99) {
				t.Error("registered:", posted, s.requests())
			}
			if known, ok := client.ID(contract("AVRO", c.text)); ok != (err == nil) || known != c.id {
				t.Error(known, ok)
			}
			if refused == nil {
				return
			}
			for i, f := range refused.Findings {
				if i >= len(c.findings) || f.String() != c.findings[i] || !strings.Contains(err.Error(), "\n  "+c.findings[i]) {
					t.Error(f)
				}
			}
		})
	}
}

func TestContracts_of_one_fingerprint_have_each_its_id(t *testing.T) {
	t.Parallel()
	s := subject(t, avroText, avroNext)
	client := newClient(t, registry.Config{URLs: []string{s.URL}})
	one, two := contract("AVRO", avroText), contract("AVRO", avroNext)
	two.Fingerprint = one.Fingerprint
	if err := client.Load(t.Context(), orderSubject, one, two); err != nil {
		t.Fatal(err)
	}
	first, _ := client.ID(one)
	second, _ := client.ID(two)
	if first != 11 || second != 12 {
		t.Error(first, second)
	}
	if err := client.Load(t.Context(), orderSubject, contract("AVRO", avroBroken)); !errors.Is(err, es.ErrUnknownContract) {
		t.Error(err)
	}
}

func TestIDs_are_asked_for_once(t *testing.T) {
	t.Parallel()
	found := make(chan bool, 1)
	s := newServer(t, plain, func(w http.ResponseWriter, _ *http.Request) {
		if len(found) == 0 {
			problem(w, 404, 40403, "not yet")
			return
		}
		says(w, 200, map[string]any{"schema": avroText})
	})
	client := newClient(t, registry.Config{URLs: []string{s.URL}})
	for range 2 {
		if _, err := client.ByID(t.Context(), 7); !errors.Is(err, es.ErrUnknownContract) || errors.Is(err, es.ErrUnavailable) {
			t.Error(err)
		}
	}
	found <- true
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if c, err := client.ByID(t.Context(), 7); err != nil || c.Text != avroText || c.Kind != "AVRO" || len(c.Fingerprint) != 16 {
				t.Error(c, err)
			}
		})
	}
	all.Wait()
	if n := len(s.requests()); n != 3 {
		t.Error("it was asked", n, "times")
	}
}

func TestWho_asks_is_told_by_a_header(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config registry.Config
		want   string
	}{
		{registry.Config{}, ""},
		{registry.Config{Token: secret}, "Bearer " + secret},
		{registry.Config{User: "ann", Password: secret}, "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+secret))},
	} {
		s := newServer(t, (*httptest.Server).StartTLS, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != c.want {
				t.Errorf("it is told %q", got)
			}
			says(w, 200, map[string]any{"schema": avroText})
		})
		if _, err := newClient(t, registry.Config{URLs: []string{s.URL}}).ByID(t.Context(), 1); !errors.Is(err, es.ErrUnavailable) {
			t.Error("a certificate that nobody vouches for:", err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(s.Certificate())
		c.config.URLs, c.config.TLS = []string{s.URL + "/a/path"}, &tls.Config{RootCAs: pool}
		if _, err := newClient(t, c.config).ByID(t.Context(), 1); err != nil {
			t.Error(err)
		}
		if asked := s.requests(); !slices.Equal(asked, []string{"GET /a/path/schemas/ids/1"}) {
			t.Error(asked)
		}
	}
}

// Whatever a server repeats, no error shows a secret, in whatever way it is printed.
func TestSecrets_are_never_shown(t *testing.T) {
	t.Parallel()
	for _, login := range []registry.Config{{Token: secret}, {User: "ann", Password: secret}} {
		for _, status := range []int{200, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503} {
			s := newServer(t, plain, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://"+secret+".example")
				problem(w, status, status, "who sends "+r.Header.Get("Authorization")+" or "+secret+"?")
			})
			login.URLs = []string{s.URL}
			client := newClient(t, login)
			_, looked := client.ByID(t.Context(), 1)
			_, registered := client.Register(t.Context(), orderSubject, contract("AVRO", avroText), registry.None)
			for _, err := range []error{looked, registered} {
				text := fmt.Sprintf("%v %+v %#v", err, err, err)
				for hidden := errors.Unwrap(err); hidden != nil; hidden = errors.Unwrap(hidden) {
					text += fmt.Sprintf("%#v", hidden)
				}
				if err == nil || strings.Contains(text, secret) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("ann:"+secret))) {
					t.Errorf("%d: %s", status, text)
				}
			}
		}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("starts", "config", login, "of", map[string]any{"it": login})
		slog.New(slog.NewTextHandler(&log, nil)).Info("starts", "config", login, "of", map[string]any{"it": login})
		fmt.Fprintf(&log, "%v %+v %#v %s %q %d", login, login, login, login, login, login)
		if strings.Contains(log.String(), secret) {
			t.Error(log.String())
		}
	}
}

// A text that is too long is not cut within a secret, of which the rest would be shown.
func TestSecrets_are_not_shown_in_part(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 409} {
		for before := 480; before < 500; before++ {
			s := newServer(t, plain, func(w http.ResponseWriter, r *http.Request) {
				if status == 409 && !strings.HasSuffix(r.Method+r.URL.Path, "POST/subjects/orders-value/versions") {
					problem(w, 404, 40403, "no such schema")
					return
				}
				problem(w, status, status, strings.Repeat("x", before)+secret+strings.Repeat("y", 100))
			})
			c := newClient(t, registry.Config{URLs: []string{s.URL}, Token: secret})
			_, err := c.Lookup(t.Context(), orderSubject, contract("AVRO", avroText))
			if status == 409 {
				_, err = c.Register(t.Context(), orderSubject, contract("AVRO", avroText), registry.None)
			}
			if err == nil || !strings.Contains(err.Error(), "xxx") || strings.Contains(err.Error(), secret[:3]) {
				t.Error(err)
			}
		}
	}
}

func TestMistakes_of_a_configuration_are_named(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config registry.Config
		want   string
	}{
		{registry.Config{}, "there is no URL"},
		{registry.Config{URLs: []string{"https://a", "https://ann:" + secret + "@b"}}, "URL 2 has a login"},
		{registry.Config{URLs: []string{"https://ann:" + secret + "%zz"}}, "URL 1 is none"},
		{registry.Config{URLs: []string{"registry:8081"}}, "URL 1 is none"},
		{registry.Config{URLs: []string{"https://a?token=" + secret}}, "URL 1 is none"},
		{registry.Config{URLs: []string{"https://a"}, Token: secret, User: "ann"}, "a token and a password"},
		{registry.Config{URLs: []string{"https://a"}, Password: secret}, "no user"},
		{registry.Config{URLs: []string{"https://a"}, Timeout: -time.Second}, "timeout"},
	} {
		_, err := registry.New(c.config)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), "registry: ") {
			t.Errorf("%q: %v", c.want, err)
		}
	}
}

func TestErrors_say_what_to_do(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, code int
		is           error
		want         string
	}{
		{404, 40403, es.ErrUnknownContract, "it is not there"},
		{404, 404, nil, "is the URL that of the Confluent API"},
		{401, 401, nil, "give the Token"},
		{403, 403, nil, "give the Token"},
		{302, 0, nil, "give the URL that it leads to"},
		{429, 429, es.ErrUnavailable, "429"},
		{500, 50001, es.ErrUnavailable, "500"},
		{503, 503, es.ErrUnavailable, "503"},
		{400, 400, nil, "400"},
	} {
		s := newServer(t, plain, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			problem(w, c.status, c.code, "because")
		})
		_, err := newClient(t, registry.Config{URLs: []string{s.URL}}).ByID(t.Context(), 1)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "registry: ") != 1 {
			t.Errorf("%d: %v", c.status, err)
		}
		for _, is := range []error{es.ErrUnknownContract, es.ErrUnavailable} {
			if errors.Is(err, is) != errors.Is(c.is, is) {
				t.Errorf("%d: %v is %v: %t", c.status, err, is, errors.Is(err, is))
			}
		}
		if slices.Contains(s.requests(), "GET /elsewhere") {
			t.Error("it was followed elsewhere")
		}
	}
}

func TestRequests_are_tried_again_and_not_for_ever(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var bodies []string
	s := newServer(t, plain, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if bodies = append(bodies, string(body)); len(bodies) < 3 {
			problem(w, 503, 503, "later")
			return
		}
		says(w, 200, map[string]any{"version": 1, "id": 5, "schema": avroText})
	})
	id, err := newClient(t, registry.Config{URLs: []string{s.URL}}).Lookup(t.Context(), orderSubject, contract("AVRO", avroText))
	if err != nil || id != 5 || len(bodies) != 3 || bodies[2] == "" || bodies[2] != bodies[0] {
		t.Error(id, err, bodies)
	}
	out := newServer(t, plain, func(w http.ResponseWriter, _ *http.Request) { problem(w, 503, 503, "never") })
	if _, err := newClient(t, registry.Config{URLs: []string{out.URL}}).ByID(t.Context(), 1); !errors.Is(err, es.ErrUnavailable) || len(out.requests()) != 3 {
		t.Error(err, out.requests())
	}
	if _, err := newClient(t, registry.Config{URLs: []string{out.URL, s.URL}}).ByID(t.Context(), 1); err != nil {
		t.Error("the second URL is not asked:", err)
	}
	const broken = 500 // a registry's way to say that it does not know the language: that is not tried again
	sick := newServer(t, plain, func(w http.ResponseWriter, _ *http.Request) { problem(w, broken, broken, "never") })
	if _, err := newClient(t, registry.Config{URLs: []string{sick.URL}}).ByID(t.Context(), 1); err == nil || len(sick.requests()) != 1 {
		t.Error(err, sick.requests())
	}
}

func TestRegistry_that_does_not_answer(t *testing.T) {
	t.Parallel()
	release, asked := make(chan struct{}), make(chan struct{}, 10)
	s := newServer(t, plain, func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) })
	client := newClient(t, registry.Config{URLs: []string{s.URL}, Timeout: 50 * time.Millisecond})
	if _, err := client.ByID(t.Context(), 1); !errors.Is(err, es.ErrUnavailable) {
		t.Error(err)
	}
	<-asked
	slow := newClient(t, registry.Config{URLs: []string{s.URL}, Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := slow.ByID(ctx, 1)
		first <- err
	}()
	<-asked // by the first
	waits, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := slow.ByID(waits, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("who waits for another that asks:", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || errors.Is(err, es.ErrUnavailable) {
		t.Error(err)
	}
}

func TestAnswers_that_are_none(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body, want string
	}{
		{"references", `{"schema": "{}", "references": [{"name": "shop.Money", "subject": "money", "version": 1}]}`, "shop.Money"},
		{"another kind", `{"schema": "x", "schemaType": "XML"}`, ""},
		{"no schema", `{"schema": "nonsense"}`, "no Avro schema"},
		{"a page", `<html>`, "cannot be reached"},
		{"too long", `{"schema": "` + strings.Repeat("x", 17<<20) + `"}`, "cannot be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, plain, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) })
			_, err := newClient(t, registry.Config{URLs: []string{s.URL}}).ByID(t.Context(), 1)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}
