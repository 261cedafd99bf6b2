package projections

import "github.com/asof-dev/asof/projections/internal/fold"

// Order says how the rows of a read model relate to the streams, and so in which order
// events may come.
type Order = fold.Order

const (
	// LogOrder: a row is fed by several streams and depends on the order of their
	// events, as the last value of anything does. It is the order of the log, which
	// Kafka does not keep: such a read model follows the log alone, and stops at what cannot
	// be applied. The default.
	LogOrder = fold.LogOrder
	// OneStream: each row is fed by the events of one stream. An event of another one that
	// touches it while it is in memory stops the projector ([ErrInvalid]); at other times
	// that is not seen.
	OneStream = fold.OneStream
	// Commuting: a row is fed by several streams, and it is the same in whatever order
	// their events come, as sums and counts are.
	Commuting = fold.Commuting
)
