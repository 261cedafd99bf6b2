package pgstore

import (
	"fmt"

	"github.com/asof-dev/asof/es"
)

// same returns the first result of an append that is made again: its ids stand in
// its stream, one after the other in its order. Anything else is another use of an
// id.
func (a *appender) same(found []earlier) ([]es.RecordedEvent, error) {
	list := make([]es.RecordedEvent, 0, len(found))
	for i, f := range found {
		again := len(found) == len(a.events) && *f.id == a.events[i].ID &&
			*f.category == a.stream.Category && *f.stream == a.stream.ID && *f.version == *found[0].version+int64(i)
		if !again {
			return nil, fmt.Errorf("pgstore: append to %s: %w: %s is version %d of %s/%s: give each event an id of its own",
				a.stream, es.ErrDuplicateID, f.id, *f.version, *f.category, *f.stream)
		}
		list = append(list, record(&a.events[i], a.stream, *f.position, *f.version, *f.at))
	}
	return list, nil
}
