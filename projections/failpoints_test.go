package projections_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asof-dev/asof/projections"
)

// dies lets a process play until it dies before a commit, and another go on from there. It
// reports what the process has committed, and whether it died.
func (st *stage) dies(t *testing.T, at commit) (steps map[string]int, died bool) {
	t.Helper()
	s := st.scene(t)
	what := fmt.Sprintf("dead before commit %d of %q", at.nth, at.of)
	store, m, ctx := s.dying(at)
	var err error
	ended, client := make(chan struct{}), s.clientOf(t)
	go func() {
		err = s.play(ctx, store, client)
		close(ended)
	}()
	select {
	case <-m.gone: // what it still does reaches nobody
		died = true
		defer func() { <-ended }()
	case <-ended:
		if err != nil && !m.dead.Load() {
			t.Fatalf("a process that lives: %v", err)
		}
	}
	until(t, "its sessions have ended", func() bool {
		return s.number(`select count(*) from pg_stat_activity where application_name = $1 and state <> 'idle'`, s.category) == 0
	})
	s.whole(t, what)
	s.exec(`update asof.builds set lease_until = null where name = $1`, s.name()) // 30 seconds later
	what += ", and then"
	s.another(3)
	if err := s.play(within(t, time.Minute), s.target, s.client); err != nil {
		status, _ := s.looking().Status(t.Context())
		t.Fatalf("%s: %v: %+v", what, err, status)
	}
	s.whole(t, what)
	s.wantClean(t, what)
	return m.made(), died
}

// atOnce is how many scenes of a setting play at the same time: they wait for their consumer
// groups now and then.
const atOnce = 3

// last reports a setting in which a process also dies before the last of each kind of commit:
// those that wait for their consumer groups take longest, and one of them shows it.
func (s setting) last() bool { return !s.kafka || !s.apart && !s.alone && !underRace }

// everywhere lets a process die before each kind of commit that one which lives has made, the
// first time and, in some settings, the last, in scenes of their own.
func everywhere(t *testing.T, s setting) {
	t.Helper()
	t.Parallel()
	first := newStage(t, s)
	made, _ := first.dies(t, commit{})
	var list []commit
	for of, n := range made {
		t.Logf("%d times: %s", n, of)
		if of == "members" { // nothing but time depends on it
			continue
		}
		if list = append(list, commit{of, 1}); n > 1 && s.last() {
			list = append(list, commit{of, n})
		}
	}
	slices.SortFunc(list, func(a, b commit) int { return strings.Compare(a.of, b.of) })
	t.Logf("%d steps", len(list))
	if len(list) < 8 {
		t.Fatalf("%d steps: the scene plays nothing", len(list))
	}
	var next, deaths atomic.Int64
	var players sync.WaitGroup
	for n := range atOnce {
		players.Go(func() {
			st := first
			if n > 0 {
				st = newStage(t, s)
			}
			for i := int(next.Add(1)); i <= len(list); i = int(next.Add(1)) {
				at := list[i-1]
				t.Run(fmt.Sprintf("%s %d", at.of, at.nth), func(t *testing.T) {
					if _, died := st.dies(t, at); died {
						deaths.Add(1)
					}
				})
			}
		})
	}
	players.Wait()
	if n := int(deaths.Load()); n < len(list)*3/4 { // what a timer does need not come again
		t.Errorf("only %d of %d have died", n, len(list))
	}
}

// Whichever step a process dies at, what it leaves is whole, and another goes on from there to
// what a process comes to that does not die.

func TestProcess_that_dies_at_any_step_leaves_all_whole(t *testing.T) {
	everywhere(t, setting{order: projections.Commuting})
}

func TestProcess_that_a_topic_feeds_beside_the_log_dies_at_any_step(t *testing.T) {
	everywhere(t, setting{order: projections.Commuting, kafka: true})
}

// Here each row is of one stream, and each partition is a lane.
func TestProcess_that_a_topic_feeds_apart_from_the_log_dies_at_any_step(t *testing.T) {
	everywhere(t, setting{order: projections.OneStream, kafka: true, apart: true})
}

func TestProcess_that_topics_alone_feed_dies_at_any_step(t *testing.T) {
	everywhere(t, setting{order: projections.Commuting, kafka: true, alone: true})
}
