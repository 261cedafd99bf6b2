// Package inbox makes a reaction to a message happen exactly once: the message's
// id and all that the reaction appends are one transaction.
//
//	reservations := inbox.New(store, "reserve-stock", inbox.WithTypes("order.placed"))
//	router.AddConsumerHandler("reserve-stock", "order", subscriber,
//		reservations.Handle(func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error {
//			_, err := stock.InTx(tx).Decide(ctx, product(e), reserve(e))
//			return err
//		}))
//
// The reaction gets a transaction and does all its work in it: events are appended
// through tx, rows of the service's own are written through tx.Tx(). Only what is in
// the transaction is exactly once. A call to another system is not: it may happen
// again when the transaction is tried again.
//
// [Inbox.Once] is the same for messages of any kind, by whatever id tells two
// deliveries of one message from two messages.
//
// # How long
//
// Ids are kept for a time, [WithRetention]: 30 days unless said otherwise. A message
// that comes again after that is taken for a new one, so keep ids longer than the
// topic keeps messages, and longer than a consumer may be behind. What guards a
// stream beyond that is its version: a reaction that appends with an expected
// version, or a decision that sees that it was taken already, does nothing twice.
package inbox
