package projectiontest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/rehearsal"
)

// way is one in which events may come.
type way struct {
	words string // when …
	cause cause  // what it shows
	mixed bool   // it shows what others do, too: it is left out once something is found
	plan  func(events []es.RecordedEvent) rehearsal.Plan
}

// clean is the way that the others are compared with: each row comes from its table before
// an event changes it, and goes back.
func clean() way {
	return way{words: "when the events come one by one", plan: func(events []es.RecordedEvent) rehearsal.Plan {
		return rehearsal.Plan{Batches: batches(events, 1)}
	}}
}

// ways lists those of a definition, the simplest first: what one shows is not said again of
// those that mix it with others.
func (r *replay) ways() []way {
	list := append(r.sizes(), r.reuse())
	if r.stage.Columns != nil {
		list = append(list, r.memory()...)
		list = append(list, r.rebuilds()...)
	}
	list = append(list, r.failures()...)
	if r.stage.Overtake {
		list = append(list, r.orders()...)
	}
	if r.stage.Columns != nil {
		list = append(list, r.beside())
	}
	return list
}

func (r *replay) sizes() []way {
	var list []way
	for _, size := range []int{2, 3, 7} {
		list = append(list, way{words: fmt.Sprintf("when they come %d at a time", size), cause: inBatches, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: batches(events, size)}
		}})
	}
	return append(list, way{words: "when they come all at once", cause: inBatches, plan: func(events []es.RecordedEvent) rehearsal.Plan {
		return rehearsal.Plan{Batches: batches(events, len(events))}
	}})
}

func (r *replay) reuse() way {
	return way{words: "when the memory of their payloads is used again", cause: inPayloads, plan: func(events []es.RecordedEvent) rehearsal.Plan {
		return rehearsal.Plan{Batches: batches(events, 1), Reuse: true}
	}}
}

func (r *replay) memory() []way {
	var list []way
	for _, size := range []int{1, 3} {
		list = append(list, way{words: fmt.Sprintf("when they come %d at a time to rows that stay in memory", size), cause: inBatches, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: batches(events, size), Memory: true}
		}})
	}
	return list
}

// beside is the last: what keeps a variable of its own may not survive it.
func (r *replay) beside() way {
	return way{words: "when Apply is called for several rows at the same time", cause: inBeside, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
		return rehearsal.Plan{Batches: batches(events, len(events)), Memory: true, Beside: 3}
	}}
}

func (r *replay) rebuilds() []way {
	list := []way{
		{words: "when the tables are rebuilt", cause: inCopy, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: batches(events, len(events)), Rebuild: true}
		}},
		{words: "when a rebuild of the tables is stopped and gone on with", cause: inCopy, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: batches(events, len(events)/2+1), Rebuild: true}
		}},
	}
	if r.stage.Copies {
		list = append(list, way{words: "when the tables are rebuilt in parts", cause: inParts, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: batches(events, 1), Rebuild: true, Parts: true}
		}})
	}
	return list
}

func (r *replay) failures() []way {
	return []way{
		{words: "when some events come twice", cause: inFailures, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: overlapping(batches(events, 3))}
		}},
		{words: "when programs die between the batches and in them", cause: inFailures, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: crashing(r.random(0), batches(events, 1))}
		}},
		{words: "when programs die, and events come 4 at a time to rows that stay in memory", cause: inFailures, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: crashing(r.random(0), batches(events, 4)), Memory: true}
		}},
	}
}

func (r *replay) orders() []way {
	list := []way{
		{words: "when one stream comes after the other", cause: inOrder, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: batches(byStream(events), 1)}
		}},
	}
	for n := range uint64(3) {
		list = append(list, way{words: fmt.Sprintf("when streams overtake each other (seed %d)", r.seed), cause: inOrder, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
			return rehearsal.Plan{Batches: batches(cut(shuffled(r.random(n), r.history), events), 3)}
		}})
	}
	return append(list, way{words: fmt.Sprintf("when streams overtake each other, some events come twice and programs die (seed %d)", r.seed), cause: inOrder, mixed: true, plan: func(events []es.RecordedEvent) rehearsal.Plan {
		random := r.random(3)
		list := repeating(random, shuffled(random, r.history))
		return rehearsal.Plan{Batches: crashing(random, batches(cut(list, events), 1+random.IntN(9)))}
	}})
}

// random gives the same numbers each time, so that fewer events come in the same order.
func (r *replay) random(n uint64) *rand.Rand { return rand.New(rand.NewPCG(r.seed, n)) }

func batches(events []es.RecordedEvent, size int) []rehearsal.Batch {
	var list []rehearsal.Batch
	for chunk := range slices.Chunk(events, max(1, size)) {
		list = append(list, rehearsal.Batch{Events: chunk})
	}
	return list
}

// overlapping begins each batch with the events of the one before.
func overlapping(list []rehearsal.Batch) []rehearsal.Batch {
	for i := len(list) - 1; i > 0; i-- {
		list[i].Events = slices.Concat(list[i-1].Events, list[i].Events)
	}
	return list
}

func crashing(random *rand.Rand, list []rehearsal.Batch) []rehearsal.Batch {
	for i := range list {
		list[i].Crash = rehearsal.Crash(random.IntN(int(rehearsal.Committed) + 1))
	}
	return list
}
