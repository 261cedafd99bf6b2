// Package shoppb has the events of a shop as generated messages, for tests.
package shoppb

//go:generate go run ../protogen shop.proto

// EventType is its name in the log.
func (*Placed) EventType() string { return "order.placed" }

// EventType is that of Placed: it is a program's that knows less.
func (*PlacedLess) EventType() string { return "order.placed" }

// EventType is that of Placed: it is a mistake.
func (*PlacedRetyped) EventType() string { return "order.placed" }

// EventType is that of Placed.
func (*PlacedStrict) EventType() string { return "order.placed" }

// EventStrict refuses fields that it has not.
func (*PlacedStrict) EventStrict() bool { return true }

// EventType is its name in the log.
func (*Paid) EventType() string { return "order.paid" }

// EventType is its name in the log.
func (*Paid2) EventType() string { return "order.paid" }

// EventSchema is the second.
func (*Paid2) EventSchema() int { return 2 }

// EventType is its name in the log.
func (*Tree) EventType() string { return "tree.grown" }

// EventType is its name in the log.
func (*Outer_Inner) EventType() string { return "order.inner" }
