// Package pgstoretest gives tests a store on a real PostgreSQL.
//
//	func TestTransfer(t *testing.T) {
//		t.Parallel()
//		store := pgstoretest.New(t) // in a fresh database of this test's own
//		accounts := aggregates.New(store, account.Decider)
//		…
//	}
//
// The server is that of package embeddedtest: one for all tests of a process,
// started when it is first asked for. A test that cannot have its store fails.
package pgstoretest
