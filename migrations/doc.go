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
// Any number of processes may call Up at once: one works, the others wait for it
// and find nothing to do.
package migrations
