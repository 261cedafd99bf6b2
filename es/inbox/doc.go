// Package inbox makes a reaction to a message happen exactly once: the message's
// id and all that the reaction appends are one transaction.
//
// Package reactions stands on it, and is what a service wants for Kafka: it has a codec
// and a group, tries again, and parks what fails. This package is for the handlers of a
// router of Watermill's, and for messages that come by other ways.
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
// # What is not an event
//
// No message vanishes without a trace but those of types that [WithTypes] leaves out.
// What another system published, a CloudEvent or not, is acknowledged by
// [Inbox.Handle], counted as Foreign and logged once for its topic and type:
// [Inbox.HandleAny] reacts to such messages too, each once. An event of Asof's with a
// header that cannot be read is not acknowledged, as it may be one that the reaction
// is for: the error is [ErrBroken], by which a middleware can set it aside:
//
//	poison, err := middleware.PoisonQueueWithFilter(publisher, "order.poison",
//		func(err error) bool { return errors.Is(err, inbox.ErrBroken) })
//	router.AddMiddleware(poison)
//
// Whatever else the headers of a message say, it can be noted: an id that a database
// does not store is noted by its digest, and what no store accepts as metadata is left
// out of what follows from it.
//
// # Another life of a store
//
// A store that loses events, as by a restore, begins another life, in which other
// events have the versions and positions of the lost ones. Its messages say so. An
// inbox keeps the life of each source that it has met, with the first reaction; a
// message of another life is refused with [es.ErrAnotherLife] and not acknowledged,
// since the reaction may have reacted to events that are lost. See what it did of
// them: what it appended has the id of the event that caused it as the causation in
// its metadata. Take that back, and then call [Inbox.Accept]. Messages that name no
// life are not affected, nor is [Inbox.Once].
//
// # How long
//
// Ids are kept for a time, [WithRetention]: 30 days unless said otherwise. A message
// that comes again after that is taken for a new one, so keep ids longer than the
// topic keeps messages, and longer than a consumer may be behind. What guards a
// stream beyond that is its version: a reaction that appends with an expected
// version, or a decision that sees that it was taken already, does nothing twice.
package inbox
