package projectiontest

import (
	"fmt"
	"strings"
)

// cause is what a difference comes from, as far as the way tells in which it shows.
type cause int

const (
	inItself   cause = iota // the same way gives something else each time
	inBatches               // how many events come at once, and whether rows stay in memory
	inPayloads              // the memory of payloads
	inBeside                // several rows are changed at once
	inCopy                  // COPY
	inParts                 // rows of other parts are left out
	inFailures              // events are applied again
	inOrder                 // streams overtake each other
)

// why says what it may come from and what to do.
func (r *replay) why(c cause, d difference) string {
	folds := r.stage.Columns != nil
	switch {
	case c == inItself && isTime(d):
		return "Apply asks a clock, so that every replay gives another time: take r.RecordedAt"
	case c == inItself && isType(d, "uuid"):
		return "Apply draws a random id, so that every replay gives another: make it from what the event has, as r.ID"
	case c == inItself && folds:
		return "Apply gives something else for the same row and event. It or Key keeps a variable of its own or uses one from outside, asks a clock, draws random numbers, or goes over a map, whose order is another each time: use only the row, the event and what is recorded of it"
	case c == inItself:
		return "Apply queues something else for the same event, or a statement gives something else on the same tables, as now(), random() and rows without an order by do: use only the event, what is recorded of it and the tables"
	case c == inBatches && folds:
		return "Between two batches a row goes through its table, within one it stays in memory, and the table does not give back what Apply has left in the row. " + r.suspects()
	case c == inBatches:
		return "The statements of a batch are sent together, after Apply was called for all of its events: Apply must not use what a statement has returned, nor anything else but the event; let the statement itself read the tables"
	case c == inPayloads:
		return "What the codec has decoded points into the payload, whose memory the next events have: let Decode, and the UnmarshalJSON of a type, copy what they keep"
	case c == inBeside:
		return "Where Apply takes its time it is called for several rows at once, and it uses a variable that they share: use only the row, the event and what is recorded of it"
	case c == inCopy:
		return "COPY and insert write another value for the same field: give the field a type that pgx writes alike in both, as those of Go and pgtype"
	case c == inParts:
		return "More rows than memory has room for are folded in parts, for each of which the log is read again, and Apply is called for rows of that part only: it uses what it has seen with other rows. A row must follow from its own events"
	case c == inFailures:
		return "Apply, Key or the codec was asked about events that were rolled back then, or came again, and something of it stayed: one of them keeps a variable of its own or uses one from outside. Use only the row, the event and what is recorded of it"
	default:
		return fmt.Sprintf("Order says %s, and the tables depend on which stream comes first, as the last value of several streams does, a condition over them, and a row that reads another: say LogOrder, which follows the log alone, or make the row depend on one stream, or on sums and counts", r.stage.Order)
	}
}

func isTime(d difference) bool {
	for _, c := range d.columns {
		if c.Category == "D" {
			return true
		}
	}
	return false
}

func isType(d difference, name string) bool {
	for _, c := range d.columns {
		if c.Type == name {
			return true
		}
	}
	return false
}

// suspects names what may keep less than it is given.
func (r *replay) suspects() string {
	if len(r.stage.Lost) > 0 {
		return "Look here: what Apply leaves in a field without a column is lost (" + strings.Join(r.stage.Lost, ", ") + ")"
	}
	return "Look for a variable beside the row that Apply uses"
}
