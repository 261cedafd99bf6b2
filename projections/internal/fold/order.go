package fold

import "fmt"

// Order says how the rows of a read model relate to the streams: see package projections.
type Order int

// The orders, of which the first is the default.
const (
	LogOrder Order = iota
	OneStream
	Commuting
)

func (o Order) String() string {
	switch o {
	case LogOrder:
		return "LogOrder"
	case OneStream:
		return "OneStream"
	case Commuting:
		return "Commuting"
	default:
		return fmt.Sprintf("Order(%d)", int(o))
	}
}
