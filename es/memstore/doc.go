// Package memstore is an event store in memory, for unit tests and examples.
//
//	store := memstore.New()
//	accounts := aggregates.New(store, account.Decider)
//
// It keeps the contract of package es to the letter (es/storetest holds it to that):
// expected versions, limits, idempotent appends, the settled log. Nothing is kept
// when the program ends, and there are no transactions: what is appended is
// recorded at once.
package memstore
