package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// api is an HTTP API of one of the services.
type api struct {
	url    string
	client *http.Client
}

func newAPI(of service, clients int) *api {
	transport := &http.Transport{MaxIdleConnsPerHost: 4 * clients} // no proxy: it is loopback
	return &api{url: of.url, client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// post sends a command and returns the status, and the answer in into when it is one
// of success.
func (a *api) post(ctx context.Context, path, idempotencyKey string, body, into any) (status int, err error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+path, bytes.NewReader(encoded))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return a.do(request, into)
}

func (a *api) get(ctx context.Context, path string, into any) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return 0, err
	}
	return a.do(request, into)
}

func (a *api) do(request *http.Request, into any) (status int, err error) {
	response, err := a.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, err
	}
	switch {
	case response.StatusCode < 300 && into != nil:
		return response.StatusCode, json.Unmarshal(answer, into)
	case response.StatusCode < 300, response.StatusCode == http.StatusConflict:
		return response.StatusCode, nil
	}
	return response.StatusCode, fmt.Errorf("%s %s: %s: %.300s", request.Method, request.URL.Path, response.Status, answer)
}
