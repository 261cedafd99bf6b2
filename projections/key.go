package projections

import "github.com/asof-dev/asof/projections/internal/table"

// CompositeKey names a row whose primary key has several columns: by a text of each column's
// type, in the order of the primary key, which may be another than that of the columns. It
// is what [Fold.Key] returns, what [ParkedEvent] shows, and what retries take.
//
// The texts have commas between. A comma or a backslash in one of them has a backslash
// before it, so that each key has one text. An event whose key does not name each column is
// parked.
func CompositeKey(parts ...string) string { return table.JoinKey(parts...) }
