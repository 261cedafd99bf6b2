// Package aggregatetest tests the decisions of an aggregate without a store: given
// what happened, when this is decided, then these events follow.
//
//	func TestWithdraw(t *testing.T) {
//		account := aggregatetest.For(t, account.Decider).Given(Opened{"ann"}, Deposited{10_00})
//		account.When(Withdraw(4_00)).Then(Withdrawn{4_00}).ThenState(Account{Open: true, Balance: 6_00})
//		account.When(Withdraw(20_00)).Fails(ErrInsufficientFunds)
//	}
//
// Every scenario also checks what a store would do to it: each event must be
// accepted at append and come back from the codec as it was, and the events of one
// decision together; a decision must leave the state that it looks at alone, and so
// must Evolve the state that it was given; a fold made twice must give the same state.
// Nil and empty slices and maps count as equal.
package aggregatetest
