// Package projectiontest tests a projection: whatever happens on the way, its tables
// must equal those of one clean replay.
//
//	func TestBalances(t *testing.T) {
//		store := pgstoretest.New(t)
//		… // append an interesting history
//		projectiontest.Replay(t, store, account.Balances)
//	}
package projectiontest
