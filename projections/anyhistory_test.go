package projections_test

import (
	"context"
	"flag"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// Whatever happens, and whatever is done meanwhile to projections of any kind, by processes
// that come and go and die: what is applied is right whenever it is looked at, and comes to
// the fold of the history; so do a rebuild, and reads as of any moment.
func TestAny_history_of_any_deeds_comes_to_its_fold(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		place func(t *testing.T) *place
		share float64 // of the rounds: those with a consumer group take longer
	}{
		"log":          {placeOfLog, 0.32},
		"log apart":    {placeOfLogApart, 0.12},
		"kafka":        {placeOfKafka, 0.12},
		"kafka apart":  {placeOfKafkaApart, 0.12},
		"topics alone": {placeOfTopics, 0.12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := of.place(t)
			rounds, last := int64(float64(checks(t))*of.share), int64(0)
			if underRace {
				rounds = (rounds + 1) / 2
			}
			var round atomic.Int64
			failed := false
			rapid.Check(t, func(rt *rapid.T) {
				n := round.Add(1)
				if n > rounds && !failed { // else it shrinks what has failed
					return
				}
				last = n
				good := false
				defer func() { failed = failed || !good }()
				plan := anyPlan(rt, p.log)
				p.play(rt, t, n, &plan)
				good = true
			})
			t.Logf("%d rounds", last)
		})
	}
}

// play plays a round.
func (p *place) play(rt *rapid.T, t *testing.T, n int64, plan *plan) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if p.topic != nil {
		defer func() { p.topic.category = "" }()
	}
	r, err := p.newRound(ctx, n, plan)
	if err != nil {
		rt.Fatal(err)
	}
	if p.topic != nil {
		p.topic.category = r.category
		p.topic.makeTopic()
	}
	err = r.play()
	if ended := r.end(); err == nil {
		err = ended
	}
	if err != nil {
		rt.Fatal(err)
	}
}

// checks is how many rounds are asked for.
func checks(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func placeOfLog(t *testing.T) *place {
	w := newWorld(t)
	return &place{log: w, target: w}
}

func placeOfLogApart(t *testing.T) *place {
	return &place{log: newWorld(t), target: newWorldOn(t, pgstoretest.New(t)), apart: true}
}

func placeOfKafka(t *testing.T) *place { return placeOfTopic(t, newCluster(t), nil) }

func placeOfKafkaApart(t *testing.T) *place {
	c := newClusterApart(t)
	p := placeOfTopic(t, c, c.world)
	p.log, p.apart = c.logged(), true
	return p
}

func placeOfTopics(t *testing.T) *place {
	g := newGuest(t)
	p := placeOfTopic(t, g.cluster, g.target)
	p.alone = true
	return p
}

// placeOfTopic has its tables where the log is, or in a target.
func placeOfTopic(t *testing.T, c *cluster, target *world) *place {
	p := &place{log: c.world, target: c.world, topic: c}
	if target != nil {
		p.target = target
	}
	var err error
	if p.life, err = c.store.Life(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}
