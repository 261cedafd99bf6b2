package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asof-dev/asof/services/internal/web"
	"github.com/asof-dev/asof/services/internal/webtest"
)

// hurried serves a handler by a server that waits for a body for a moment only.
func hurried(t testing.TB, pattern string, f func(w http.ResponseWriter, r *http.Request) error) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(pattern, api().Handle(f))
	server := httptest.NewUnstartedServer(api().Root(mux))
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// raw sends bytes over a connection of its own, ends its side of it if told, and reads
// the answer.
func raw(t testing.TB, server *httptest.Server, half bool, text string) (head, string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if half {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return head{}, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return head{response.StatusCode, response.Close}, string(body), err
}

// head is what a test asks of an answer besides its body.
type head struct {
	StatusCode int
	Close      bool
}

func post(length int, body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, body)
}

// echo works for a while, as long as its context lasts, and answers with what it was
// sent.
func echo(w http.ResponseWriter, r *http.Request) error {
	var body struct{ Name string }
	if err := web.Body(w, r, &body); err != nil {
		return err
	}
	select {
	case <-r.Context().Done():
		return r.Context().Err()
	case <-time.After(300 * time.Millisecond): // long enough to be caught by, and no wait for anything
	}
	return web.JSON(w, http.StatusCreated, body)
}

// A client that has ended its side of the connection still reads. The deadline for the
// body, which net/http keeps while the handler works, ends nothing either.
func TestHandle_answers_who_has_said_all_it_has_to_say(t *testing.T) {
	t.Parallel()
	server := hurried(t, "POST /", echo)
	const body = `{"name":"tea"}`
	for _, half := range []bool{true, false} {
		response, answer, err := raw(t, server, half, post(len(body), body))
		if err != nil || response.StatusCode != http.StatusCreated || answer != `{"Name":"tea"}`+"\n" {
			t.Errorf("half closed %t: %+v %q, %v", half, response, answer, err)
		}
	}
}

func TestHandle_refuses_a_body_that_does_not_come(t *testing.T) {
	t.Parallel()
	server := hurried(t, "POST /", echo)
	for _, test := range []struct {
		name   string
		half   bool
		length int
		body   string
		status int
		code   string
	}{
		{"too slow, none of it", false, 14, ``, 408, "too-slow"},
		{"too slow, a part", false, 14, `{"name"`, 408, "too-slow"},
		{"too slow behind the object", false, 20, `{"name":"tea"}`, 408, "too-slow"},
		{"cut off", true, 14, `{"name"`, 400, "malformed"},
		{"cut off before it begins", true, 14, ``, 400, "malformed"},
		{"cut off behind the object", true, 20, `{"name":"tea"}`, 400, "malformed"},
	} {
		response, answer, err := raw(t, server, test.half, post(test.length, test.body))
		if err != nil || response.StatusCode != test.status || !strings.Contains(answer, test.code) || !strings.Contains(answer, "nothing was done") || test.status == 408 && !response.Close {
			t.Errorf("%s: %+v %q, %v", test.name, response, answer, err)
		}
	}
	response, answer, err := raw(t, server, false, post(2*web.MaxBody, `{"name":"`+strings.Repeat("x", 2*web.MaxBody-9)))
	if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge || !response.Close || !strings.Contains(answer, "too-large") {
		t.Errorf("too large: %+v %q, %v", response, answer, err)
	}
}

// A client that is gone looks like one that has ended its side: what it asked for is
// done and not left in the middle.
func TestHandle_finishes_for_a_client_that_is_gone(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	server := hurried(t, "POST /", func(w http.ResponseWriter, r *http.Request) error {
		close(begun)
		select {
		case <-r.Context().Done():
		case <-time.After(300 * time.Millisecond): // long enough to be caught by, and no wait for anything
		}
		ended <- r.Context().Err()
		return web.JSON(w, http.StatusOK, "done")
	})
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, post(0, "")); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it was broken off: %v", err)
	}
}

func TestHandle_never_takes_silence_for_success(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(w http.ResponseWriter, r *http.Request) error{
		"no answer and no error": func(http.ResponseWriter, *http.Request) error { return nil },
		"only a header":          func(w http.ResponseWriter, _ *http.Request) error { w.Header().Set("Location", "/x"); return nil },
		"only a hint":            func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(http.StatusEarlyHints); return nil },
		"its context was cut": func(_ http.ResponseWriter, r *http.Request) error {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			return ctx.Err()
		},
		"what cannot be written as JSON": func(w http.ResponseWriter, _ *http.Request) error { return web.JSON(w, 200, func() {}) },
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			c := client(t, "/{$}", f)
			answer, err := c.Do(t, method, "/", nil)
			if err != nil || answer.Status != http.StatusInternalServerError {
				t.Errorf("%s, %s: %d %s, %v", name, method, answer.Status, answer.Body, err)
			}
			if unknown := strings.Contains(string(answer.Body), "may have been carried out"); unknown != (method == "POST") {
				t.Errorf("%s, %s: %s", name, method, answer.Body)
			}
		}
	}
}

// What takes too long is told so before the server gives the connection up.
func TestHandle_answers_in_time(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		recorder := httptest.NewRecorder()
		api().Handle(func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return fmt.Errorf("ask the database: %w", r.Context().Err())
		}).ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/", nil))
		if took := time.Since(began); recorder.Code != http.StatusServiceUnavailable || took != 25*time.Second || !strings.Contains(recorder.Body.String(), "may have been carried out") {
			t.Errorf("after %s: %d %s", took, recorder.Code, recorder.Body)
		}
	})
}

// A client gives the time back in ?at=, where a digit less is another moment.
func TestTime_has_all_its_digits(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	if text, err := web.Time(at).MarshalText(); err != nil || string(text) != "2026-01-02T03:04:05.000000Z" {
		t.Errorf("%s, %v", text, err)
	}
}

// Half of an answer must not look like the whole.
func TestHandle_cuts_off_an_answer_that_fails_in_the_middle(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func() error{
		"error": func() error { return errors.New("no more") },
		"panic": func() error { panic("no more") },
		"abort": func() error { panic(http.ErrAbortHandler) },
	} {
		for _, size := range []int{1, 10_000} { // kept by net/http, and sent
			c := client(t, "GET /", func(w http.ResponseWriter, _ *http.Request) error {
				_, _ = w.Write([]byte(strings.Repeat("x", size)))
				return end()
			})
			if answer, err := c.Do(t, "GET", "/", nil); err == nil {
				t.Errorf("%s after %d bytes: %d with %d bytes", name, size, answer.Status, len(answer.Body))
			}
		}
	}
}

func TestRoot_answers_HEAD_as_GET_without_a_body(t *testing.T) {
	t.Parallel()
	c := client(t, "GET /tea/{id}", func(w http.ResponseWriter, r *http.Request) error {
		if r.PathValue("id") != "1" {
			return web.NewProblem(http.StatusNotFound, "not-found", "there is no such tea")
		}
		return web.JSON(w, 200, strings.Repeat("tea ", 2000))
	})
	for path, status := range map[string]int{"/tea/1": 200, "/tea/2": 404, "/coffee": 404, "//tea/1": 404} {
		get, err := c.Do(t, "GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		head, err := c.Do(t, "HEAD", path, nil)
		if err != nil || head.Status != status || get.Status != status || len(head.Body) != 0 || head.Header.Get("Content-Length") != get.Header.Get("Content-Length") {
			t.Errorf("%s: %d %v, then %d %v, %v", path, get.Status, get.Header, head.Status, head.Header, err)
		}
	}
	c = client(t, "POST /tea", func(w http.ResponseWriter, _ *http.Request) error { return web.JSON(w, 200, "tea") })
	if head, err := c.Do(t, "HEAD", "/tea", nil); err != nil || head.Status != 405 || head.Header.Get("Allow") != "POST" {
		t.Errorf("%+v, %v", head, err)
	}
}

// The mux would redirect, and to nowhere where it serves nothing.
func TestRoot_serves_no_path_with_empty_or_dot_segments(t *testing.T) {
	t.Parallel()
	c := client(t, "/tea/{id}", func(w http.ResponseWriter, r *http.Request) error { return web.JSON(w, 200, r.PathValue("id")) })
	for path, ask := range map[string]string{
		"//x": "/x", "//": "/", "//tea/1": "/tea/1", "/tea//1": "/tea/1", "/tea/./1": "/tea/1", "/tea/1/../2": "/tea/2", "/x//": "/x/", "//tea/a%20b": "/tea/a%20b",
	} {
		for _, method := range []string{"GET", "POST"} {
			answer := c.Refused(t, 404, "not-found", method, path, nil)
			if !strings.Contains(string(answer.Body), `ask for \"`+ask+`\"`) && path != "//" {
				t.Errorf("%s: %s", path, answer.Body)
			}
		}
	}
	var id string
	c.Ask(t, 200, "GET", "/tea/a%2F%2Fb", nil, &id)
	if id != "a//b" {
		t.Errorf("%q: escaped slashes are part of a name", id)
	}
}

// Who has not finished when the server must go is told so.
func TestServe_answers_what_it_does_not_wait_for(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	listener, err := web.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, served, answered := make(chan struct{}), make(chan error, 1), make(chan webtest.Answer, 1)
	mux := http.NewServeMux()
	mux.Handle("POST /", api().Handle(func(_ http.ResponseWriter, r *http.Request) error {
		close(begun)
		<-r.Context().Done()
		return r.Context().Err()
	}))
	go func() { served <- web.ServeFor(ctx, listener, api().Root(mux), 50*time.Millisecond) }()
	go func() {
		answer, err := webtest.Client{URL: "http://" + listener.Addr().String()}.Do(t, "POST", "/", nil)
		if err != nil {
			t.Error(err)
		}
		answered <- answer
	}()
	<-begun
	stop()
	if answer := <-answered; answer.Status != http.StatusServiceUnavailable || !strings.Contains(string(answer.Body), "may have been carried out") {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
