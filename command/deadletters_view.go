package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/projections"
)

// deadLettersView is what `dead-letters list` prints.
type deadLettersView struct {
	Parked          []parkedView         `json:"parked"` // of read models, by build and sequence
	Skipped         []skippedView        `json:"skipped"`
	Messages        []messageView        `json:"messages"` // of reactions, by sequence
	SkippedMessages []skippedMessageView `json:"skipped_messages"`
}

type parkedView struct {
	Projection string `json:"projection"`
	unitView
	Event headerView `json:"event"`
}

// unitView is an event, and a row that it touches, as a build has it.
type unitView struct {
	Build    int64      `json:"build"`
	Version  int        `json:"version"` // of the build
	State    string     `json:"state"`   // of the build: "live", "kept" or "building"
	Key      string     `json:"key"`     // of the row; empty: the event as a whole
	Error    string     `json:"error"`   // empty: it has not been tried
	Behind   es.Version `json:"behind"`  // of the stream, which it waits for; 0: none, it comes first
	Attempts int        `json:"attempts"`
	FirstAt  time.Time  `json:"first_at"` // parked
	LastAt   time.Time  `json:"last_at"`  // tried, or parked behind another
}

type skippedView struct {
	Projection string    `json:"projection"`
	EventID    uuid.UUID `json:"event_id"`
	Key        string    `json:"key"` // of the row that lacks it; empty: all of them
	Reason     string    `json:"reason"`
	At         time.Time `json:"at"`
}

// sequence is what is parked together.
type sequence struct {
	build  int64
	stream es.StreamID
	key    string
}

func sequenceOf(p projections.ParkedEvent) sequence {
	return sequence{p.Build, p.Event.Stream, p.Key}
}

// head is where a sequence begins.
type head struct {
	place   int // among the sequences
	version es.Version
}

// headsOf takes what is parked by build and position.
func headsOf(list []projections.ParkedEvent) map[sequence]head {
	heads := map[sequence]head{}
	for _, p := range list {
		if _, known := heads[sequenceOf(p)]; !known {
			heads[sequenceOf(p)] = head{len(heads), p.Event.Version}
		}
	}
	return heads
}

func newDeadLettersView(parked []projections.ParkedEvent, skipped []projections.Skipped) deadLettersView {
	v := deadLettersView{Parked: []parkedView{}, Skipped: []skippedView{}, Messages: []messageView{}, SkippedMessages: []skippedMessageView{}}
	heads := headsOf(parked)
	slices.SortStableFunc(parked, func(a, b projections.ParkedEvent) int {
		return cmp.Compare(heads[sequenceOf(a)].place, heads[sequenceOf(b)].place)
	})
	for _, p := range parked {
		v.Parked = append(v.Parked, parkedView{Projection: p.Projection, unitView: newUnitView(p, heads), Event: newHeaderView(p.Event)})
	}
	for _, k := range skipped {
		v.Skipped = append(v.Skipped, skippedView{Projection: k.Projection, EventID: k.Event, Key: k.Key, Reason: k.Reason, At: k.At.UTC()})
	}
	return v
}

func newUnitView(p projections.ParkedEvent, heads map[sequence]head) unitView {
	v := unitView{
		Build: p.Build, Version: p.Version, State: p.State, Key: p.Key, Error: p.Error, Attempts: p.Attempts,
		FirstAt: p.First.UTC(), LastAt: p.Last.UTC(),
	}
	if h, known := heads[sequenceOf(p)]; known && h.version < p.Event.Version {
		v.Behind = h.version
	}
	return v
}

// why says what keeps it parked.
func (v unitView) why() string {
	switch {
	case v.Error != "":
		return v.Error
	case v.Behind > 0:
		return fmt.Sprintf("waits behind version %d", v.Behind)
	default:
		return "what it waited for is gone: retry it"
	}
}

func (v *deadLettersView) addMessages(parked []reactions.Parked, skipped []reactions.Skipped) {
	for _, p := range parked {
		v.Messages = append(v.Messages, newMessageView(p))
	}
	for _, k := range skipped {
		v.SkippedMessages = append(v.SkippedMessages, newSkippedMessageView(k))
	}
}

// WriteText writes a line for all that is parked, and below one for all that is skipped.
func (v deadLettersView) WriteText(w io.Writer) error {
	if len(v.Parked)+len(v.Messages) == 0 {
		if _, err := fmt.Fprintln(w, "Nothing is parked."); err != nil {
			return err
		}
	}
	blocks := &blocks{w: w, none: len(v.Parked)+len(v.Messages) > 0}
	blocks.write("PROJECTION\tBUILD\tSTATE\tSTREAM\tKEY\tVERSION\tPOSITION\tTYPE\tEVENT\tTRIED\tFIRST\tLAST\tWHY", rowsOf(v.Parked, parkedView.row))
	blocks.write("REACTION\tMESSAGE\tSTREAM\tKEY\tTYPE\tPARTITION\tOFFSET\tTRIED\tFIRST\tLAST\tWHY", rowsOf(v.Messages, messageView.row))
	blocks.write("PROJECTION\tSKIPPED\tKEY\tSINCE\tREASON", rowsOf(v.Skipped, func(k skippedView) string {
		return row(k.Projection, k.EventID, k.Key, moment(k.At), k.Reason)
	}))
	blocks.write("REACTION\tSKIPPED\tSTREAM\tTYPE\tPARTITION\tOFFSET\tSINCE\tREASON", rowsOf(v.SkippedMessages, func(k skippedMessageView) string {
		return row(k.Reaction, k.Message, streamOf(k.Category, k.ID), k.Type, fmt.Sprintf("%s/%d", k.Topic, k.Partition), k.Offset, moment(k.At), k.Reason)
	}))
	return blocks.err
}

func (p parkedView) row() string {
	return row(p.Projection, p.Build, p.State, p.Event.Category+"/"+p.Event.ID, p.Key, p.Event.Version, count(int64(p.Event.Position)), p.Event.Type, p.Event.EventID,
		p.Attempts, moment(p.FirstAt), moment(p.LastAt), p.why())
}

func rowsOf[T any](list []T, text func(T) string) []string {
	rows := make([]string, len(list))
	for i, v := range list {
		rows[i] = text(v)
	}
	return rows
}

// blocks writes tables, with an empty line between them.
type blocks struct {
	w    io.Writer
	none bool // nothing is written yet
	err  error
}

// write leaves out a table without rows.
func (b *blocks) write(header string, rows []string) {
	if b.err != nil || len(rows) == 0 {
		return
	}
	if b.none {
		b.none, b.err = false, table(b.w, header, rows)
		return
	}
	b.err = block(b.w, header, rows)
}
