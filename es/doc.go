// Package es is the vocabulary of Asof: events, streams, the store that keeps
// them and the log that reads them back.
//
// A service describes what happened as types with a stable name, appends them
// to a stream, and reads the stream again to know its state:
//
//	type Deposited struct{ Cents int64 }
//
//	func (Deposited) EventType() string { return "account.deposited" }
//
//	codec := es.JSON[es.Event](Deposited{})
//	stream := es.StreamID{Category: "account", ID: "a-1"}
//	data, err := codec.Encode(ctx, stream, Deposited{Cents: 100})
//	_, err = store.Append(ctx, stream, es.NoStream, data)
//
// The package has no database and no broker. The store on Postgres is
// es/pgstore, the one in memory for unit tests is es/memstore, and both pass the
// suite in es/storetest. Most services use the packages aggregates and
// projections, which stand on these words.
package es
