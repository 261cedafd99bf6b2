// Package pgstore is the event store on Postgres.
//
//	store := pgstore.New(pool)
//	recorded, err := store.Append(ctx, stream, es.Exactly(3), data)
//	for event, err := range store.ReadStream(ctx, stream, 1) { … }
//	settled, err := store.Read(ctx, checkpoint, 1000)
//
// An append is one statement and one round trip. It takes a shared lock before it
// draws a position, so that readers can tell a position that is still being
// written from one that was rolled back, and no reader ever skips an event: see
// [Store.Read]. The lock is shared: appends wait neither for each other nor for
// readers.
//
// The guarantees hold under read committed, the default of Postgres, with
// synchronous_commit on. The tables are made by package migrations.
package pgstore
