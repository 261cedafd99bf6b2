package aggregates_test

import (
	"errors"
	"time"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// What a service writes: an aggregate with its decisions and its read model.

// Event is what can happen to an account.
//
//sumtype:decl
type Event interface {
	es.Event
	isAccountEvent()
}

type (
	// Opened begins an account.
	Opened struct{ Owner string }
	// Deposited adds money.
	Deposited struct{ Cents int64 }
	// Withdrawn takes money.
	Withdrawn struct{ Cents int64 }
)

func (Opened) EventType() string    { return "account.opened" }
func (Deposited) EventType() string { return "account.deposited" }
func (Withdrawn) EventType() string { return "account.withdrawn" }

func (Opened) isAccountEvent()    {}
func (Deposited) isAccountEvent() {}
func (Withdrawn) isAccountEvent() {}

// Account is what decisions look at.
type Account struct {
	Open    bool
	Balance int64
}

var codec = es.JSON[Event](Opened{}, Deposited{}, Withdrawn{})

var decider = aggregates.Decider[Account, Event]{Category: "account", Evolve: evolve, Codec: codec}

func evolve(a Account, e Event) Account {
	switch e := e.(type) {
	case Opened:
		a.Open = true
	case Deposited:
		a.Balance += e.Cents
	case Withdrawn:
		a.Balance -= e.Cents
	}
	return a
}

var (
	errNotOpen           = errors.New("account: not open")
	errInsufficientFunds = errors.New("account: insufficient funds")
)

// open opens the account once; opening it again is nothing.
func open(owner string) func(Account) ([]Event, error) {
	return func(a Account) ([]Event, error) {
		if a.Open {
			return nil, nil
		}
		return []Event{Opened{owner}}, nil
	}
}

func deposit(cents ...int64) func(Account) ([]Event, error) {
	return func(a Account) (events []Event, err error) {
		if !a.Open {
			return nil, errNotOpen
		}
		for _, c := range cents {
			events = append(events, Deposited{c})
		}
		return events, nil
	}
}

func withdraw(cents int64) func(Account) ([]Event, error) {
	return func(a Account) ([]Event, error) {
		if a.Balance < cents {
			return nil, errInsufficientFunds
		}
		return []Event{Withdrawn{cents}}, nil
	}
}

// Balance is a row of the read model.
type Balance struct {
	Account   string    `db:"account"`
	Owner     string    `db:"owner"`
	Cents     int64     `db:"cents"`
	UpdatedAt time.Time `db:"updated_at"`
}

var balances = projections.Fold[Balance, Event]{
	Name: "balances", Version: 1,
	Table: `create table balances (account text primary key, owner text not null, cents bigint not null, updated_at timestamptz not null)`,
	Codec: codec,
	Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
	Apply: func(b *Balance, e Event, r es.Recorded) {
		b.Account, b.UpdatedAt = r.Stream.ID, r.RecordedAt
		switch e := e.(type) {
		case Opened:
			b.Owner = e.Owner
		case Deposited:
			b.Cents += e.Cents
		case Withdrawn:
			b.Cents -= e.Cents
		}
	},
}
