// Package orders is a service that takes orders: a customer places one, inventory
// reserves its items or rejects it, it is paid and shipped, or cancelled before.
//
//	export DATABASE_URL=postgres://… KAFKA_BROKERS=127.0.0.1:9092
//	orders migrate
//	orders serve --listen 127.0.0.1:8081   # HTTP API, and reactions to inventory
//	orders relay                           # events to the topic "order"
//	orders project --from kafka            # read models summary and customers
//
// # HTTP API
//
//	POST /orders                 {"customer","items":[{"product","quantity","price_cents"}]}
//	POST /orders/{id}/pay        {"reference","cents"}   the whole price, once inventory has reserved
//	POST /orders/{id}/ship       {"tracking"}            once it is paid
//	POST /orders/{id}/cancel     {"reason"}              until it is shipped; what was paid goes back
//	GET  /orders/{id}            the order now, or with ?at=TIME, ?version=N or ?position=P as it was
//	GET  /orders/{id}/history    its events, each with the status after it
//	GET  /orders                 summary by order: ?customer= ?status= ?after=ORDER ?limit= ?wait=POSITION
//	GET  /customers              by customer: ?after=CUSTOMER ?limit= ?wait=POSITION
//	GET  /customers/{customer}   ?wait=POSITION
//	GET  /healthz                204 when the database answers
//
// Requests may be sent again, as follows. With an Idempotency-Key header, a POST to /orders
// makes one order however often it is sent: 201 for the first, 200 with the same
// order for the others. A payment is told from a second one by its reference; an
// order that is shipped with the same tracking number, or cancelled for the same
// reason, is not so twice. With anything else in it, a request that is sent again is
// refused: 422 for a key or a reference that was used, 409 for what is shipped or
// cancelled.
//
// A POST answers with the order and its position. A list that is asked with
// wait=POSITION has applied that event, or the answer is 503 after five seconds; so it
// is when a moment is asked for to which an append that stays open may belong. A
// position at which there is no event yet is 422, at once.
//
// Every request is answered, also when the client has ended its side of the
// connection: 408 and nothing done when the body does not come within 15 seconds, 503
// when the work is not done within 25. Where it is not known what was done, the detail
// says so.
//
// X-Correlation-ID and the W3C traceparent and tracestate headers are kept with the
// events that follow. Errors are problem details (RFC 9457) with a code for programs
// and a detail that says what to do: 400, 404, 409 and 422, 408, 413 and 415, 500 and 503.
//
// # Events
//
// Others read them from the topic "order", keyed by the order's id: order.placed,
// order.reserved, order.rejected, order.paid, order.shipped and order.cancelled,
// with the JSON of the types in this package. It reads inventory's topic
// "reservation": reservation.confirmed and reservation.rejected.
package orders
