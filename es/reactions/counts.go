package reactions

import (
	"context"
	"fmt"
)

// Counts is what a reactor has done since New.
type Counts struct {
	Reacted  int64 // messages that the reaction was committed for
	Repeated int64 // messages that it had before
	Skipped  int64 // events of types that the codec does not know
	Parked   int64 // messages that were parked, also behind others
	Late     int64 // messages of a life that the store has left: see [inbox.Inbox.Accept]
	Waiting  int64 // partitions that do not go on now: Status says why
}

// Counts reads the counters.
func (r *Reactor) Counts() Counts {
	return Counts{
		Reacted: r.reacted.Load(), Repeated: r.repeated.Load(), Skipped: r.skipped.Load(),
		Parked: r.parked.Load(), Late: r.late.Load(), Waiting: r.waiting.Load(),
	}
}

// count counts what became of a message, and tells what somebody should know of it.
func (r *Reactor) count(ctx context.Context, d *delivery, done result) {
	switch kind := fmt.Sprintf("%.128s", d.read.Metadata[headerType]); done {
	case reacted:
		r.reacted.Add(1)
	case repeated:
		r.repeated.Add(1)
	case late:
		r.late.Add(1)
		r.log.WarnContext(ctx, "a message of a life that its store has left is taken without a reaction", d.where()...)
	case skipped:
		r.skipped.Add(1)
		if r.told.first(kind) {
			r.log.InfoContext(ctx, "events of a type that the codec does not know are skipped", append(d.where(), "type", kind)...)
		}
	case behind:
		r.parked.Add(1)
		r.log.WarnContext(ctx, "a message is parked behind another of its sequence", d.where()...)
	case parked:
		r.parked.Add(1)
	case undecided:
	}
}

// where says for the log which message it is.
func (d *delivery) where() []any {
	return []any{"topic", d.Topic, "partition", d.Partition, "offset", d.Offset, "message", d.id}
}
