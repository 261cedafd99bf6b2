package inventory

import (
	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// ReservationEvent is what can happen to an order's reservation. Its stream has the
// order's id, and these events are what other services read.
//
//sumtype:decl
type ReservationEvent interface {
	es.Event
	reservation()
}

type (
	// Confirmed means that all items are kept for the order.
	Confirmed struct {
		Items []Item `json:"items"`
	}
	// Rejected means that of some items there is not enough, and none is kept.
	Rejected struct {
		Shortages []Shortage `json:"shortages"`
	}
	// Released means that the order was cancelled, and what was kept is free again.
	Released struct{}
	// Fulfilled means that the items have left.
	Fulfilled struct{}
)

func (Confirmed) EventType() string { return "reservation.confirmed" }
func (Rejected) EventType() string  { return "reservation.rejected" }
func (Released) EventType() string  { return "reservation.released" }
func (Fulfilled) EventType() string { return "reservation.fulfilled" }

func (Confirmed) reservation() {}
func (Rejected) reservation()  {}
func (Released) reservation()  {}
func (Fulfilled) reservation() {}

// Item is a product and how many of it.
type Item struct {
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

// Shortage is an item of which there is not enough.
type Shortage struct {
	Product string `json:"product"`
	Wanted  int64  `json:"wanted"`
	Free    int64  `json:"free"`
}

// Status is how far a reservation has got.
type Status string

// A status is reached by the event of its name.
const (
	None            Status = "" // inventory has not heard of the order
	StatusConfirmed Status = "confirmed"
	StatusRejected  Status = "rejected"
	StatusReleased  Status = "released"
	StatusFulfilled Status = "fulfilled"
)

// Reservation is what decisions look at.
type Reservation struct {
	Status Status `json:"status"`
	Items  []Item `json:"items"` // kept, or that were kept
}

// ReservationCodec reads and writes the events.
var ReservationCodec = es.JSON[ReservationEvent](Confirmed{}, Rejected{}, Released{}, Fulfilled{})

// ReservationDecider is how reservations decide.
var ReservationDecider = aggregates.Decider[Reservation, ReservationEvent]{Category: "reservation", Evolve: evolveReservation, Codec: ReservationCodec}

func evolveReservation(r Reservation, e ReservationEvent) Reservation {
	switch e := e.(type) {
	case Confirmed:
		r.Status, r.Items = StatusConfirmed, e.Items
	case Rejected:
		r.Status = StatusRejected
	case Released:
		r.Status = StatusReleased
	case Fulfilled:
		r.Status = StatusFulfilled
	}
	return r
}

// Reservations refuse nothing: what they are told has happened. What comes too late,
// too early or twice decides nothing.

// Confirm keeps the items, unless the order was answered or cancelled already.
func Confirm(items []Item) func(Reservation) ([]ReservationEvent, error) {
	return func(r Reservation) ([]ReservationEvent, error) {
		if r.Status != None {
			return nil, nil
		}
		return []ReservationEvent{Confirmed{items}}, nil
	}
}

// Reject is the answer when Confirm cannot be.
func Reject(shortages []Shortage) func(Reservation) ([]ReservationEvent, error) {
	return func(r Reservation) ([]ReservationEvent, error) {
		if r.Status != None {
			return nil, nil
		}
		return []ReservationEvent{Rejected{shortages}}, nil
	}
}

// Cancel releases what was kept. An order that inventory has not heard of is noted
// as released, so that nothing is kept for it later.
func Cancel(r Reservation) ([]ReservationEvent, error) {
	if r.Status != None && r.Status != StatusConfirmed {
		return nil, nil
	}
	return []ReservationEvent{Released{}}, nil
}

// Fulfil ends the reservation of an order that was shipped.
func Fulfil(r Reservation) ([]ReservationEvent, error) {
	if r.Status != StatusConfirmed {
		return nil, nil
	}
	return []ReservationEvent{Fulfilled{}}, nil
}
