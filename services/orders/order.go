package orders

import (
	"errors"
	"fmt"
	"slices"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// Event is what can happen to an order. Each carries the customer, so that what is
// counted per customer needs no second look.
//
//sumtype:decl
type Event interface {
	es.Event
	order()
}

type (
	// Placed means that a customer asked for the items. Inventory answers.
	Placed struct {
		Customer string `json:"customer"`
		Items    []Item `json:"items"`
	}
	// Reserved means that inventory keeps all items for the order.
	Reserved struct {
		Customer string `json:"customer"`
	}
	// Rejected means that inventory has not all items, and keeps none.
	Rejected struct {
		Customer string `json:"customer"`
		Reason   string `json:"reason"`
	}
	// Paid means that the whole price has come in.
	Paid struct {
		Customer  string `json:"customer"`
		Reference string `json:"reference"`
		Cents     int64  `json:"cents"`
	}
	// Shipped means that the items have left.
	Shipped struct {
		Customer string `json:"customer"`
		Tracking string `json:"tracking"`
	}
	// Cancelled means that the customer no longer wants them. What was paid goes back.
	Cancelled struct {
		Customer    string `json:"customer"`
		Reason      string `json:"reason"`
		RefundCents int64  `json:"refund_cents"`
	}
)

func (Placed) EventType() string    { return "order.placed" }
func (Reserved) EventType() string  { return "order.reserved" }
func (Rejected) EventType() string  { return "order.rejected" }
func (Paid) EventType() string      { return "order.paid" }
func (Shipped) EventType() string   { return "order.shipped" }
func (Cancelled) EventType() string { return "order.cancelled" }

func (Placed) order()    {}
func (Reserved) order()  {}
func (Rejected) order()  {}
func (Paid) order()      {}
func (Shipped) order()   {}
func (Cancelled) order() {}

// Status is how far an order has got.
type Status string

// A status is reached by the event of its name.
const (
	None            Status = "" // not placed
	StatusPlaced    Status = "placed"
	StatusReserved  Status = "reserved"
	StatusRejected  Status = "rejected" // an end
	StatusPaid      Status = "paid"
	StatusShipped   Status = "shipped"   // an end
	StatusCancelled Status = "cancelled" // an end
)

func statuses() []Status {
	return []Status{StatusPlaced, StatusReserved, StatusRejected, StatusPaid, StatusShipped, StatusCancelled}
}

// Order is what decisions look at.
type Order struct {
	Status     Status `json:"status"`
	Customer   string `json:"customer"`
	Items      []Item `json:"items"`
	TotalCents int64  `json:"total_cents"`
	Payment    string `json:"payment,omitempty"`  // reference of the payment, also after a refund
	PaidCents  int64  `json:"paid_cents"`         // zero again after a refund
	Tracking   string `json:"tracking,omitempty"` // of the parcel
	Reason     string `json:"reason,omitempty"`   // why it was rejected or cancelled
}

// Codec reads and writes the events.
var Codec = es.JSON[Event](Placed{}, Reserved{}, Rejected{}, Paid{}, Shipped{}, Cancelled{})

// Decider is how orders decide.
var Decider = aggregates.Decider[Order, Event]{Category: "order", Evolve: evolve, Codec: Codec}

func evolve(o Order, e Event) Order {
	switch e := e.(type) {
	case Placed:
		o.Status, o.Customer, o.Items, o.TotalCents = StatusPlaced, e.Customer, e.Items, total(e.Items)
	case Reserved:
		o.Status = StatusReserved
	case Rejected:
		o.Status, o.Reason = StatusRejected, e.Reason
	case Paid:
		o.Status, o.Payment, o.PaidCents = StatusPaid, e.Reference, e.Cents
	case Shipped:
		o.Status, o.Tracking = StatusShipped, e.Tracking
	case Cancelled:
		o.Status, o.Reason, o.PaidCents = StatusCancelled, e.Reason, o.PaidCents-e.RefundCents
	}
	return o
}

// What an order refuses. The text says what to do instead.
var (
	ErrNotFound     = errors.New("orders: there is no such order: place it first")
	ErrOtherOrder   = errors.New("orders: the idempotency key was used for an order of other items: use a new key for a new order")
	ErrNotReserved  = errors.New("orders: inventory has not reserved the items yet: try again in a moment")
	ErrRejected     = errors.New("orders: inventory rejected the order: place another one")
	ErrNotPaid      = errors.New("orders: the order is not paid: pay it first")
	ErrPaid         = errors.New("orders: the order was paid by another payment: do not pay it twice")
	ErrShipped      = errors.New("orders: the order is shipped and cannot change any more")
	ErrCancelled    = errors.New("orders: the order is cancelled: place another one")
	ErrWrongPayment = errors.New("orders: the payment does not fit")
	ErrOtherPayment = errors.New("orders: the reference was used for the payment of this order, with other cents: nothing is taken twice; use a new reference for a new payment")
	ErrOtherReason  = errors.New("orders: the order was cancelled before, for another reason, which stays: there is nothing left to cancel")
)

// PaymentError says how much is to be paid. errors.Is(err, ErrWrongPayment) is
// true for it.
type PaymentError struct{ Want, Got int64 }

func (e *PaymentError) Error() string {
	return fmt.Sprintf("orders: the order costs %d cents and the payment is %d: pay exactly the price", e.Want, e.Got)
}

// Is makes errors.Is(err, ErrWrongPayment) true.
func (e *PaymentError) Is(target error) bool { return target == ErrWrongPayment }

// A decision that is made again as it was decides nothing new and is no error: a
// client whose answer was lost sends its request again. Made again otherwise it is
// refused, as its client would take the answer for a yes to what was never done.

// Place is the customer's wish.
func Place(customer string, items []Item) func(Order) ([]Event, error) {
	return func(o Order) ([]Event, error) {
		if o.Status == None {
			return []Event{Placed{customer, items}}, nil
		}
		if o.Customer != customer || !slices.Equal(o.Items, items) {
			return nil, ErrOtherOrder
		}
		return nil, nil
	}
}

// Reserve is inventory's yes. An order that no longer waits for it ignores it:
// inventory hears of that by itself.
func Reserve(o Order) ([]Event, error) {
	if o.Status != StatusPlaced {
		return nil, nil
	}
	return []Event{Reserved{o.Customer}}, nil
}

// Reject is inventory's no.
func Reject(reason string) func(Order) ([]Event, error) {
	return func(o Order) ([]Event, error) {
		if o.Status != StatusPlaced {
			return nil, nil
		}
		return []Event{Rejected{o.Customer, reason}}, nil
	}
}

// Pay takes the whole price. The reference tells a payment that is sent again from
// a second payment.
func Pay(reference string, cents int64) func(Order) ([]Event, error) {
	return func(o Order) ([]Event, error) {
		switch {
		case o.Status == None:
			return nil, ErrNotFound
		case o.Payment == reference && cents != o.TotalCents: // which was the payment
			return nil, ErrOtherPayment
		case o.Payment == reference: // also when the order went on since
			return nil, nil
		case o.Status == StatusPlaced:
			return nil, ErrNotReserved
		case o.Status == StatusRejected:
			return nil, ErrRejected
		case o.Status == StatusCancelled:
			return nil, ErrCancelled
		case o.Status != StatusReserved:
			return nil, ErrPaid
		case cents != o.TotalCents:
			return nil, &PaymentError{Want: o.TotalCents, Got: cents}
		}
		return []Event{Paid{o.Customer, reference, cents}}, nil
	}
}

// Ship sends the parcel.
func Ship(tracking string) func(Order) ([]Event, error) {
	return func(o Order) ([]Event, error) {
		switch o.Status {
		case None:
			return nil, ErrNotFound
		case StatusPlaced, StatusReserved:
			return nil, ErrNotPaid
		case StatusRejected:
			return nil, ErrRejected
		case StatusCancelled:
			return nil, ErrCancelled
		case StatusShipped:
			if o.Tracking != tracking {
				return nil, ErrShipped
			}
			return nil, nil
		default:
			return []Event{Shipped{o.Customer, tracking}}, nil
		}
	}
}

// Cancel ends an order that is not shipped, and pays back what was paid.
func Cancel(reason string) func(Order) ([]Event, error) {
	return func(o Order) ([]Event, error) {
		switch o.Status {
		case None:
			return nil, ErrNotFound
		case StatusRejected:
			return nil, ErrRejected
		case StatusShipped:
			return nil, ErrShipped
		case StatusCancelled:
			if o.Reason != reason {
				return nil, ErrOtherReason
			}
			return nil, nil
		default:
			return []Event{Cancelled{o.Customer, reason, o.PaidCents}}, nil
		}
	}
}
