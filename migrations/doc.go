// Package migrations creates and upgrades tables: the framework's own, and in the
// same way those of a service.
//
// A migration is a numbered SQL file for goose, embedded in the binary. The
// files use unqualified names; each [Set] runs in a schema of its own.
//
//	//go:embed sql/*.sql
//	var files embed.FS
//
//	err := migrations.Up(ctx, pool, migrations.Framework("asof"), migrations.Set{
//		Schema: "orders", Files: files, Dir: "sql",
//	})
//
// # What is certain
//
// Any number of processes may call Up at once: one works, the others wait for it
// and find nothing to do. No file is applied twice, whatever ends a session: the lock
// belongs to the transaction of each file, which reads under it what is applied,
// does the file and writes its number down.
//
// A file with -- +goose NO TRANSACTION, as create index concurrently needs it, runs in
// the session that holds the lock. That it was begun is written down before; when it
// fails in its middle, or its session ends, nobody can know what of it is done, and all
// calls end with [ErrUnfinished] until somebody has looked. A file must not end its own
// transaction: it is told so, after the fact.
//
// Timeouts that the role or the database sets (statement_timeout and others) are lifted
// for the files and for the wait. Search path and lock are set by SQL, so that Up also
// works behind a pooler in transaction mode; files outside a transaction are refused
// there.
//
// The table of versions is goose_db_version, as goose makes it, with the name and a
// checksum of each file: two sets in one schema, and a file that was changed after it
// was applied, are refused with [ErrOtherSet]. The goose command works on the same
// tables.
//
// # Rights
//
// Up and Down run as the owner of the schema and of what is in it; the schema is made
// by somebody else for this role (create schema orders authorization migrator), or by a
// role that may create in the database. When there is nothing to do, and for
// Status, usage on the schema and select on its goose_db_version are enough.
package migrations
