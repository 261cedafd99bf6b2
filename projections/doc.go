// Package projections keeps read models: tables in Postgres that follow the events
// of a store.
//
//	var Balances = projections.Fold[Balance, Event]{
//		Name: "balances", Version: 1,
//		Table: `create table balances (account text primary key, cents bigint not null)`,
//		Codec: Codec,
//		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
//		Apply: func(b *Balance, e Event, r es.Recorded) { … },
//	}
//
//	balances := projections.New(store, Balances)
//	err := balances.Run(ctx)     // builds it, then follows the log
//	err = balances.Rebuild(ctx)  // beside the live table, verified, switched
//
// Readers query the table as balances.balances: the schema has the projection's
// name, whichever build is live. Raise Version when the table or what Apply does
// changes, and the next Run builds the new one beside the old and switches.
//
// # What holds
//
// Every event is applied exactly once. The rows and what is known to be applied are
// written in one transaction. Of the log, which is settled and in order, a position is
// all that need be known. Of Kafka it is the last version of every stream: duplicates
// are ignored and gaps filled from the log. A build belongs to one kind of source; a
// projector changes the kind when it begins, in one transaction. Any number of processes
// may run the same projection: they take turns, a batch at a time; from Kafka,
// where each row is of one stream ([OneStream]), each applies its own partitions beside the
// others.
//
// A projector reads the log, or with [FromKafka] the topics that the relay fills. Then
// the log stays the judge: what it does not have is not applied, and what Kafka loses
// is found in it.
//
// From the log, events are applied in the log's order. From Kafka they come in order
// within a stream only, so a row that is fed by several streams equals the fold of the
// log only if Apply commutes across streams: adding up does, keeping the last value does
// not. A definition says so in its [Order], and Kafka is refused where it does not.
//
// Events are decoded and folded in memory, outside of transactions and locks, from Kafka, too,
// and in retries: an Apply that takes its time holds up nobody. What others have written to
// the build meanwhile is found when the batch is written, and the batch is folded again; if
// that goes on, a batch of no more than a second has the lock while it is folded, and so have
// the last events that a switch applies. From the log, rows stay in memory from one batch to
// the next, as long as nobody else has written to them. What Apply puts into a field is made what its column gives
// back, and what a column would lose is refused.
//
// What stands on the live tables that their DDL did not make, and what depends on them
// elsewhere, is named before a rebuild begins; privileges are taken along.
//
// [Builds] shows all that stands of a projection in the database, [DropBuild] and
// [DropProjection] take it away, and [Projector.Verify] compares what was applied with the
// log. The first three need no definition, and neither does [Verify].
//
// [Projector.AsOf] reads the tables as they were at any moment. Package projectiontest
// tests that a projection gives the same rows however its events come.
//
// # What cannot be applied
//
// An event that cannot be decoded, that Apply fails or panics at, or whose row the database
// refuses is parked, and with it what comes after it in its sequence: the events of one
// stream that touch one row. All else goes on. [ListParked] shows it, [Projector.RetryAll]
// tries it again with a program that was mended, and [Projector.Skip] leaves an event out for
// ever. [WithParked] bounds how much may be parked. A projection in [LogOrder], the default,
// parks nothing: it stops at the event.
//
// [Pause] stops a projection wherever it runs, [Resume] lets it go on, and
// [Projector.Rewind] takes it back to an earlier position.
//
// # Topics alone
//
// With [In] and [FromKafka], and without [FromLog], a read model is fed from Kafka alone: it
// is of another service's events, whose log this one cannot reach. Then the topics must keep
// what they were given, from the first message on: with cleanup.policy=delete,
// retention.ms=-1 and retention.bytes=-1. One that is compacted, that lacks messages which
// were not read yet, or that was made anew gives [ErrTopicLost].
//
// Of each stream the last version is known. What comes again is ignored. A stream that lacks
// a version waits, alone, until that has come, and is read again from there: see [Gaps] and
// [ErrTooManyGaps]. Of a source's store one life is read; messages of another give
// [es.ErrAnotherLife], and the text says what to do.
//
// Rebuild reads the topics from their beginning. There are no positions and no past:
// [Projector.WaitForToken] takes the place of WaitFor, and AsOf, Rewind and Verify give
// [ErrNoLog]. A build that is fed from topics alone stays so: another source takes a rebuild.
//
// # Rooms
//
// Who reads the code finds a package for each idea, below internal, and none that knows one
// that is named after it: table (the rows of a table in memory), fault (errors), fold (what an
// event does to rows, and what is parked), catalog (schemas as Postgres has them), books (the
// framework's tables), apply (events to a build, in one transaction), source (log, Kafka,
// topics), replay (as of a moment), rebuild (beside, compare, switch). This package is what
// callers see of them.
//
// # Connections
//
// Use a pool of at least two connections for each projector that runs at once.
package projections
