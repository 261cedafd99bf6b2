// Package reactions does what follows from messages, exactly once: from events of other
// services, and from messages of anybody.
//
//	err := reactions.Run(ctx, reactions.Reaction[Event]{
//		Name: "inventory", Store: store, Kafka: client, Topics: []string{"order"},
//		Codec: es.JSON[Event](Placed{}, Cancelled{}),
//		React: func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
//			_, err := reservations.InTx(tx).Decide(ctx, r.Stream.ID, decide(e))
//			return err
//		},
//	})
//
// The note of a message in the inbox (package inbox) and all that React does in tx are one
// transaction. Only what is in it is exactly once: a call to another system may happen
// again. Two deliveries are of one message when [kafka.MessageID] is the same; for a
// CloudEvent that is its source and id.
//
// # What it does about a message
//
//   - An event of a type that the codec does not know is skipped, counted, and each type
//     logged once.
//   - An event of a newer schema ([es.ErrNewerSchema]) waits for the program that reads it,
//     and what cannot answer ([es.ErrUnavailable]) is waited for. So is the database. What
//     waits holds its partition up, and says so in the log, in [Counts] and in [Status].
//   - An error or a panic of React is tried again, with a pause that grows
//     ([Reaction].Tries, Pause), and then the message is parked. So it is with what the
//     database refuses to do, but an outage is waited for, and that is also a login that is
//     refused and a database that is not there or read only.
//   - What no try makes better is parked at once: an event that is broken or does not
//     decode, and a message that is no event where there is no [Reaction].Any.
//   - What only an operator can mend ends the reaction, and a table, a column or a right
//     that React misses is of that kind, since every message would miss it: see
//     [Reactor.Run].
//
// # What is parked
//
// A parked message lies in a table of the store, whole, with why. The messages of its
// sequence that come later wait behind it there, in order; the rest of the partition goes
// on. A sequence is the messages of a stream, as their headers say it (source, category and
// id), or of a key in a topic where the headers name no stream. A message without a key is
// alone. [ListParked] shows them, [Reactor.RetryMessage], [Reactor.RetryStream],
// [Reactor.RetryKey] and [Reactor.RetryAll] try them again, each once and in order, while
// the reaction runs, and [Reactor.Skip] leaves one out. The command dead-letters does that
// for a service (package command).
//
// # Another life of a store
//
// A message of a store that has lost events is refused with [es.ErrAnotherLife], until
// somebody has seen to what the reaction did of them: see [inbox.Inbox.Accept], which takes
// the reaction's name as the consumer's.
package reactions
