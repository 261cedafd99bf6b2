// Package webtest asks the services' HTTP APIs in tests.
package webtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Client asks one API.
type Client struct {
	URL    string
	Header http.Header // of every request
}

// Answer is what the API said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request; the body is a string as it is, or any other value as JSON, or
// nil. It is safe in any goroutine: what cannot be sent is an error.
func (c Client) Do(t testing.TB, method, path string, body any) (Answer, error) {
	t.Helper()
	var content []byte
	switch body := body.(type) {
	case nil:
	case string:
		content = []byte(body)
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return Answer{}, err
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, bytes.NewReader(content))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	maps.Copy(request.Header, c.Header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	answer := Answer{Status: response.StatusCode, Header: response.Header}
	answer.Body, err = io.ReadAll(response.Body)
	return answer, err
}

// DoHalf is Do over a connection whose client ends its side when it has said all, and
// only then reads.
func (c Client) DoHalf(t testing.TB, method, path string, body any) (Answer, error) {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, bytes.NewReader(content))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	maps.Copy(request.Header, c.Header)
	address, err := net.ResolveTCPAddr("tcp", request.URL.Host)
	if err != nil {
		return Answer{}, err
	}
	conn, err := net.DialTCP("tcp", nil, address)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	err = errors.Join(conn.SetDeadline(time.Now().Add(time.Minute)), request.Write(conn), conn.CloseWrite())
	if err != nil {
		return Answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	answer := Answer{Status: response.StatusCode, Header: response.Header}
	answer.Body, err = io.ReadAll(response.Body)
	return answer, err
}

// Ask sends a request, checks the status and decodes the answer into v, if not nil.
func (c Client) Ask(t testing.TB, status int, method, path string, body, v any) Answer {
	t.Helper()
	answer, err := c.Do(t, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != status {
		t.Fatalf("%s %s: %d instead of %d: %s", method, path, answer.Status, status, answer.Body)
	}
	if v != nil {
		if err := json.Unmarshal(answer.Body, v); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, answer.Body)
		}
	}
	return answer
}

// Refused sends a request and checks that it is refused as problem details with
// that status and code, and with a text that says something.
func (c Client) Refused(t testing.TB, status int, code, method, path string, body any) Answer {
	t.Helper()
	var problem struct {
		Status              int
		Code, Title, Detail string
	}
	answer := c.Ask(t, status, method, path, body, &problem)
	if problem.Code != code || problem.Status != status || problem.Title == "" || len(problem.Detail) < 10 {
		t.Errorf("%s %s: refused as %+v instead of code %q", method, path, problem, code)
	}
	if kind := answer.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/problem+json") {
		t.Errorf("%s %s: Content-Type %q", method, path, kind)
	}
	return answer
}

// With returns the client with one more header.
func (c Client) With(name, value string) Client {
	header := c.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set(name, value)
	c.Header = header
	return c
}
