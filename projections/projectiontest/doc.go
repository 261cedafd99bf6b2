// Package projectiontest tests a projection: whatever happens on the way, its tables must
// be the same.
//
//	func TestBalances(t *testing.T) {
//		store := pgstoretest.New(t)
//		… // append an interesting history: some hundred events of a few streams
//		projectiontest.Replay(t, store, account.Balances)
//	}
package projectiontest
