package main

import (
	"errors"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Event is what can happen to an account.
type Event interface {
	es.Event
	account()
}

type (
	Opened    struct{ Owner string }
	Deposited struct{ Cents int64 }
	Withdrawn struct{ Cents int64 }
)

func (Opened) EventType() string    { return "account.opened" }
func (Deposited) EventType() string { return "account.deposited" }
func (Withdrawn) EventType() string { return "account.withdrawn" }

func (Opened) account()    {}
func (Deposited) account() {}
func (Withdrawn) account() {}

// Account is what decisions look at.
type Account struct {
	Owner   string `json:"owner"`
	Balance int64  `json:"balance"`
}

func evolve(a Account, e Event) Account {
	switch e := e.(type) {
	case Opened:
		a.Owner = e.Owner
	case Deposited:
		a.Balance += e.Cents
	case Withdrawn:
		a.Balance -= e.Cents
	}
	return a
}

var codec = es.JSON[Event](Opened{}, Deposited{}, Withdrawn{})

var decider = aggregates.Decider[Account, Event]{Category: "account", Evolve: evolve, Codec: codec}

var errNotOpen = errors.New("ledger: the account is not open: open it first")

func open(owner string) func(Account) ([]Event, error) {
	return func(Account) ([]Event, error) { return []Event{Opened{Owner: owner}}, nil }
}

func deposit(cents int64) func(Account) ([]Event, error) {
	return func(a Account) ([]Event, error) {
		if a.Owner == "" {
			return nil, errNotOpen
		}
		return []Event{Deposited{Cents: cents}}, nil
	}
}

// Balance is a row of the read model.
type Balance struct {
	Account string `db:"account"`
	Owner   string `db:"owner"`
	Cents   int64  `db:"cents"`
}

var balances = projections.Fold[Balance, Event]{
	Name: "balances", Version: 1,
	Table: `create table balances (account text primary key, owner text not null, cents bigint not null)`,
	Codec: codec, Categories: []string{"account"},
	Key: func(_ Event, r es.Recorded) string { return r.Stream.ID },
	Apply: func(b *Balance, e Event, _ es.Recorded) {
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
