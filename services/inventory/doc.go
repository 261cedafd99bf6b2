// Package inventory is a service that keeps the stock of products and reserves it
// for orders: all items of an order or none.
//
//	export DATABASE_URL=postgres://… KAFKA_BROKERS=127.0.0.1:9092
//	inventory migrate
//	inventory serve --listen 127.0.0.1:8082   # HTTP API, and reactions to orders
//	inventory relay                           # events to the topics "product" and "reservation"
//	inventory project --from kafka            # read model stock
//
// # HTTP API
//
//	POST /products/{id}/receipts   {"reference","quantity"}  stock comes in
//	GET  /products/{id}            the product now, or with ?at=TIME, ?version=N or ?position=P as it was
//	GET  /reservations/{order}     the answer that an order got, and what became of it
//	GET  /stock                    stock by product: ?after=PRODUCT ?limit= ?wait=POSITION
//	GET  /stock/{product}          ?wait=POSITION
//	GET  /healthz                  204 when the database answers
//
// A receipt may be sent again: its reference tells it from the next one, and it is
// counted once; with another quantity it is refused, 422. The answer has the position of
// the product's last event; a list that is asked with wait=POSITION has applied that
// event, or the answer is 503 after five seconds; so it is when a moment is asked for to
// which an append that stays open may belong. A position at which there is no event yet
// is 422, at once.
//
// Every request is answered, also when the client has ended its side of the
// connection: 408 and nothing done when the body does not come within 15 seconds, 503
// when the work is not done within 25. Where it is not known what was done, the detail
// says so.
//
// X-Correlation-ID and the W3C traceparent and tracestate headers are kept with the
// events that follow. Errors are problem details (RFC 9457) with a code for programs
// and a detail that says what to do: 400, 404 and 422, 408, 413 and 415, 500 and 503.
//
// # Events
//
// It reads the topic "order": order.placed, order.cancelled and order.shipped. Its
// answers are in the topic "reservation", keyed by the order's id:
// reservation.confirmed, reservation.rejected, reservation.released and
// reservation.fulfilled. The topic "product", keyed by the product's id, has
// product.received, product.reserved, product.released and product.shipped. All are
// JSON of the types in this package.
package inventory
