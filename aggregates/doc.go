// Package aggregates is the write side: it loads what an aggregate is, lets it
// decide, and appends what it decided.
//
// An aggregate is a [Decider]: a category of streams, a function that folds events
// into a state, and a codec. A decision is a function of the state that returns
// events; it sees no database, no clock and no context.
//
//	var Decider = aggregates.Decider[Account, Event]{Category: "account", Evolve: evolve, Codec: Codec}
//
//	func Withdraw(cents int64) func(Account) ([]Event, error) {
//		return func(a Account) ([]Event, error) {
//			if a.Balance < cents {
//				return nil, ErrInsufficientFunds
//			}
//			return []Event{Withdrawn{cents}}, nil
//		}
//	}
//
//	accounts := aggregates.New(store, Decider)
//	_, err := accounts.Decide(ctx, "a-1", Withdraw(50_00))
//	then, err := accounts.LoadAsOf(ctx, "a-1", es.AtTime(yesterday))
//
// # What holds
//
// A decision is recorded only if the aggregate is still what it was decided on;
// otherwise it is made again on what the aggregate has become. The state is that of
// the whole stream: an event that cannot be decoded fails the call rather than be
// left out.
//
// Package aggregatetest tests decisions without a store.
package aggregates
