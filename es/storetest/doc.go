// Package storetest holds an event store to the contract of package es.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Subject {
//			store := mystore.New(…)
//			return storetest.Subject{Store: store, Log: store}
//		})
//	}
//
// It uses nothing but the interfaces of package es, so it says the same of every
// store: es/memstore and es/pgstore pass it. What only a database can show
// (transactions, crashes, appends that stay open) is tested beside the store.
package storetest
