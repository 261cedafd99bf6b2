// Package web is what the HTTP APIs of the shipped services have in common: JSON in
// and out, errors as problem details (RFC 9457), metadata from headers, and a server
// that stops gracefully.
//
//	api := web.API{Log: log, Explain: explain}
//	mux := http.NewServeMux()
//	mux.Handle("GET /orders/{id}", api.Handle(getOrder))
//	err := web.Serve(ctx, listener, api.Root(mux))
package web
