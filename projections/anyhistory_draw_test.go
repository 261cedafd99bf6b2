package projections_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
)

// All that happens is drawn before it does, so that what shrinks depends on nothing else.

// plan is what happens in a round.
type plan struct {
	batch, memory, chunk int
	beside               int    // for how many rows Apply is called at once
	before               []step // what is appended before anybody runs
	first                int    // the message before which the first process dies; zero: it lives
	deeds                []deed
	forward              bool // at the end what was not published is, in the order of the log
	loses                bool // or never
	moment               int  // place in the history, of which the rows are read as of it
}

// deed is what is done to the projections, after some events.
type deed struct {
	appends []step
	letters []letter
	settles bool // before it, all must be applied
	what    string
	number  int // of what there is to choose from
}

// GoString is how rapid shows it.
func (d deed) GoString() string {
	text := fmt.Sprintf("\n\t%#v, publish %v, ", d.appends, d.letters)
	if d.settles {
		text += "settle, "
	}
	return text + fmt.Sprintf("%s %d", d.what, d.number)
}

// letter is a message to publish: one that waits for it, or again one of the history.
type letter struct {
	again  bool
	number int
}

func (l letter) String() string {
	if l.again {
		return fmt.Sprintf("again %d", l.number)
	}
	return fmt.Sprint(l.number)
}

const (
	doNothing   = "nothing"
	doCut       = "cut"        // the process loses its network, and another begins
	doDie       = "die"        // another begins, which dies before a message
	doBreak     = "break"      // another begins, on a line that breaks
	doStop      = "stop"       // it ends as it should, and another begins, whose line may break
	doJoin      = "join"       // a second one begins beside it, whose line may break
	doLeave     = "leave"      // and ends
	doPause     = "pause"      // and nothing is written any more
	doResume    = "resume"     //
	doRebuild   = "rebuild"    //
	doHalf      = "half"       // a rebuild, which dies before a message
	doRollback  = "rollback"   //
	doRewind    = "rewind"     // to a place in the history, where it is paused
	doMend      = "mend"       // programs have no poison any more
	doRetry     = "retry"      // all
	doSkip      = "skip"       // one of those that are parked
	doSkipNext  = "skip next"  // an event that is appended now
	doHalfRetry = "half retry" // a retry that dies before a message
	doTurn      = "turn"       // the process ends and another begins, which follows the log where it has one
)

func deeds() []string {
	return []string{
		doNothing, doNothing, doCut, doDie, doBreak, doBreak, doStop, doJoin, doJoin, doLeave, doPause, doResume, doRebuild, doHalf, doRollback,
		doRewind, doMend, doRetry, doSkip, doSkip, doSkipNext, doHalfRetry, doTurn,
	}
}

// anyPlan draws what happens in a round.
func anyPlan(t *rapid.T, w *world) plan {
	steps := func(least int) *rapid.Generator[[]step] {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{account: rapid.IntRange(0, 3).Draw(t, "account"), events: rapid.SliceOfN(anyEvent(w), 1, 3).Draw(t, "events")}
		}), least, 4)
	}
	letters := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) letter {
		return letter{again: rapid.IntRange(0, 3).Draw(t, "again") == 3, number: rapid.SampledFrom([]int{0, 0, 0, 1, 2, 7}).Draw(t, "number")}
	}), 0, 10)
	return plan{
		batch:  rapid.IntRange(1, 9).Draw(t, "batch"),
		memory: rapid.SampledFrom([]int{1 << 20, 8 * 700, 1000, 1}).Draw(t, "bytes in memory"),
		chunk:  rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "chunk"),
		beside: rapid.SampledFrom([]int{1, 3}).Draw(t, "rows at once"),
		before: steps(1).Draw(t, "before"),
		first:  rapid.SampledFrom([]int{0, 0, 0, 5, 12, 19, 26}).Draw(t, "first dies"),
		deeds: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
			return deed{
				appends: steps(0).Draw(t, "appends"), letters: letters.Draw(t, "letters"), settles: rapid.Bool().Draw(t, "settles"),
				what: rapid.SampledFrom(deeds()).Draw(t, "what"), number: rapid.IntRange(0, 30).Draw(t, "number"),
			}
		}), 0, 9).Draw(t, "deeds"),
		forward: rapid.Bool().Draw(t, "forward"),
		loses:   rapid.Bool().Draw(t, "loses"),
		moment:  rapid.IntRange(0, 60).Draw(t, "moment"),
	}
}

// anyEvent draws events, of which some cannot be read, and some not be applied until the
// program is mended, or never.
func anyEvent(w *world) *rapid.Generator[es.EventData] {
	return rapid.Custom(func(t *rapid.T) es.EventData {
		var e Event = Deposited{Cents: rapid.Int64Range(20, 40).Draw(t, "cents")}
		switch rapid.IntRange(0, 20).Draw(t, "kind") {
		case 12, 13, 14:
			e = Withdrawn{Cents: rapid.Int64Range(20, 40).Draw(t, "cents")}
		case 15:
			e = Opened{Owner: rapid.StringMatching(`[a-zé"\\']{0,6}`).Draw(t, "owner")}
		case 16:
			return es.EventData{ID: es.NewID(), Type: "account.audited", Data: []byte(`{}`)}
		case 17:
			e = Deposited{Cents: failsForAll}
		case 18:
			e = Deposited{Cents: rapid.SampledFrom([]int64{failsEverywhere, panicsHalfWay}).Draw(t, "poison")}
		case 19:
			e = Withdrawn{Cents: tooMuch}
		case 20:
			return es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte(`{"Cents":"many"}`)}
		}
		data, err := w.codec.Encode(w.Context(), es.StreamID{}, e)
		if err != nil {
			t.Fatal(err)
		}
		return data
	})
}
