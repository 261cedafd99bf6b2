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
// may run the same projection: they take turns, a batch at a time.
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
// Events are decoded and folded in memory, outside of transactions and locks. Rows stay
// there from one batch to the next, as long as nobody else has written to them, and are
// read again when somebody has. What Apply puts into a field is made what its column gives
// back, and what a column would lose is refused.
//
// What stands on the live tables that their DDL did not make, and what depends on them
// elsewhere, is named before a rebuild begins; privileges are taken along.
//
// [Builds] shows all that stands of a projection in the database, [DropBuild] and
// [DropProjection] take it away, and [Projector.Verify] compares what was applied with the
// log. The first three work without the definition, as does [Verify].
//
// [Projector.AsOf] reads the tables as they were at any moment. Package projectiontest
// tests that a projection gives the same rows however its events come.
//
// Use a pool of at least two connections for each projector that runs at once.
package projections
