package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// setting is how the read model of a scene is fed.
type setting struct {
	order projections.Order
	kafka bool
	apart bool // the log lies in another database
	alone bool // there is no log
}

// stage is the databases and brokers that scenes of a setting use, one after the other.
type stage struct {
	setting
	*cluster
	life uuid.UUID
}

func newStage(t testing.TB, s setting) *stage {
	t.Helper()
	st := &stage{setting: s}
	switch {
	case !s.kafka:
		w := newWorld(t)
		st.cluster = &cluster{world: w, target: w.store}
	case s.apart || s.alone:
		st.cluster = newClusterApart(t)
	default:
		st.cluster = newCluster(t)
	}
	var err error
	if st.life, err = st.store.Life(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st
}

// scene is a history of a category of its own, and what is done with it. What is published
// comes from a relay that lives on.
type scene struct {
	stage
	id      int64
	mended  *atomic.Bool
	skipped []uuid.UUID // what is to be left out: the unreadable event, and the one that is refused

	relay   sync.Mutex
	applied bool    // what comes after the first build is appended
	belated bool    // and what comes after the rebuild
	lost    int     // place in the history of an event that is not published at first
	steps   [][]int // places of those that are published while the topic is read
	told    int     // steps that are done
}

// scenes counts them.
var scenes atomic.Int64

// scene begins one: it appends what is there at first, and publishes it, with an event doubled
// and one that lacks: the second of a-0.
func (st *stage) scene(t *testing.T) *scene {
	t.Helper()
	id := scenes.Add(1)
	w, c := *st.world, *st.cluster
	w.TB, w.category = t, fmt.Sprintf("account%d-%s", id, uuid.NewString())
	c.world, c.sent = &w, 0
	s := &scene{stage: stage{setting: st.setting, cluster: &c, life: st.life}, id: id, mended: new(atomic.Bool)}
	if s.kafka {
		s.makeTopic()
	}
	for n := range 6 {
		s.append(name(n%3), Opened{Owner: "ann"}, Deposited{Cents: int64(100 + n)})
	}
	s.append("a-1", Deposited{Cents: failsForAll}, Deposited{Cents: 1000})
	s.unreadable("a-2")
	history := s.mine(t)
	s.skipped = []uuid.UUID{history[len(history)-1].ID}
	if !s.kafka {
		return s
	}
	for place, e := range history {
		if e.Stream.ID == "a-0" && e.Version == 2 {
			s.lost = place
		} else {
			s.publishPlaces(place)
		}
	}
	s.publishPlaces(0)
	return s
}

func (s *scene) name() string { return fmt.Sprintf("ledger%d", s.id) }

// projector is that of a process, which reaches the database of the read model by a store of
// its own.
func (s *scene) projector(store *pgstore.Store, options ...projections.Option) *projections.Projector {
	def := ledger(s.order, s.mended)
	def.Name, def.Categories = s.name(), []string{s.category}
	options = append([]projections.Option{projections.WithBatch(4), projections.WithPoll(time.Millisecond)}, options...)
	if s.alone {
		return projections.New(projections.In(store.Pool(), "asof"), def, options...)
	}
	return s.newOn(store, def, options...)
}

// looking is the projector of the test itself.
func (s *scene) looking() *projections.Projector {
	if s.alone {
		return s.projector(s.target, projections.FromKafka(s.client))
	}
	return s.projector(s.target)
}

// clientOf is a process's way to the brokers.
func (s *scene) clientOf(t *testing.T) *kafka.Client {
	t.Helper()
	if !s.kafka {
		return nil
	}
	return newClient(t, s.brokers...)
}

// mine is the scene's history.
func (s *scene) mine(t *testing.T) (all []es.RecordedEvent) {
	t.Helper()
	for n := range 3 {
		for e, err := range s.store.ReadStream(t.Context(), s.stream(name(n)), 1) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b es.RecordedEvent) int { return int(a.Position - b.Position) })
	return all
}

// publishPlaces sends events of the scene's history by their places in it.
func (s *scene) publishPlaces(places ...int) {
	s.Helper()
	history := s.mine(s.TB.(*testing.T))
	messages := make([]kafka.Message, len(places))
	for i, place := range places {
		messages[i] = kafka.FromEvent(eventSource, s.category, history[place])
		messages[i].Headers = append(messages[i].Headers, kafka.LifeHeader(s.life))
	}
	s.send(messages...)
}

// another is an event in each stream.
func (s *scene) another(cents int64) {
	n := len(s.mine(s.TB.(*testing.T)))
	for stream := range int64(3) {
		s.append(name(int(stream)), Deposited{Cents: cents + stream})
	}
	if s.alone {
		s.publishPlaces(n, n+1, n+2)
	}
}

// live appends, once, what comes after the first build: what fails, and what comes behind it.
func (s *scene) live() {
	s.relay.Lock()
	defer s.relay.Unlock()
	if s.applied {
		return
	}
	s.applied = true
	s.append("a-0", Deposited{Cents: 5}, Deposited{Cents: failsForAll}, Deposited{Cents: 6})
	s.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 60})
	s.append("a-2", Deposited{Cents: 50})
	if !s.kafka {
		s.refuse()
	}
}

// late appends, once, what a build finds in the log that was made one of Kafka's a moment ago.
func (s *scene) late() {
	s.relay.Lock()
	defer s.relay.Unlock()
	if !s.belated {
		s.belated = true
		s.append("a-1", Deposited{Cents: 11})
		s.refuse()
	}
}

// refuse appends an event that the database refuses, and one behind it.
func (s *scene) refuse() {
	s.append("a-0", Deposited{Cents: refusedCents}, Deposited{Cents: 10})
	history := s.mine(s.TB.(*testing.T))
	s.skipped = append(s.skipped, history[len(history)-2].ID)
}

// tell appends and publishes, once, what comes while the topic is read: events that are lost,
// doubled, and come before others. Of topics alone what lacks comes later, one after the other.
func (s *scene) tell(ctx context.Context) error {
	s.relay.Lock()
	defer s.relay.Unlock()
	if s.steps == nil {
		n := len(s.mine(s.TB.(*testing.T)))
		s.append("a-0", Deposited{Cents: 7}, Deposited{Cents: 8}, Deposited{Cents: 9}) // n, n+1, n+2
		s.refuse()                                                                     // n+3, n+4
		s.append("a-1", Deposited{Cents: 70}, Withdrawn{Cents: 71})                    // n+5, n+6
		s.append("a-2", Deposited{Cents: 700})                                         // n+7
		s.steps = [][]int{{n + 2, n + 4, n + 1, n + 4, n, n + 5, n + 6}}               // what a-2 has is lost
		if s.alone {
			s.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 72}) // n+8, n+9
			s.steps = [][]int{{n + 1, n + 4, n + 2, n + 4, n + 8}, {s.lost, n + 7}, {n, n + 5, n + 3, n + 9, n + 6}}
		}
	}
	for ; s.told < len(s.steps); s.told++ {
		if s.alone {
			if err := holds(ctx, s.allRead); err != nil {
				return err
			}
		}
		s.publishPlaces(s.steps[s.told]...)
	}
	return nil
}

// atHead reports that all of the log is applied, and the position has come to its end.
func (s *scene) atHead(ctx context.Context) bool {
	var head es.Position
	err := s.store.Pool().QueryRow(ctx, `select max(position) from asof.events where category = $1`, s.category).Scan((*int64)(&head))
	if err != nil {
		return false
	}
	status, err := s.looking().Status(ctx)
	return err == nil && status.Build != 0 && status.Position >= head
}

// reads reports that the live build reads each partition.
func (s *scene) reads(ctx context.Context) bool {
	var ready bool
	err := s.target.Pool().QueryRow(ctx, `
		select count(*) > 0 from asof.builds b join asof.members m on m.group_name like '%.' || left(b.identity::text, 8)
		where b.name = $1 and b.status = 'live' and (select count(*) from asof.offsets where build = b.id) = $2`, s.name(), partitions).Scan(&ready)
	return err == nil && ready
}

// allRead reports that all messages are read.
func (s *scene) allRead(ctx context.Context) bool {
	status, err := s.looking().Status(ctx)
	return err == nil && status.Lag == 0
}

// caughtUp reports that nothing lacks which was told. Beside the log, one event is lost.
func (s *scene) caughtUp(ctx context.Context) bool {
	status, err := s.looking().Status(ctx)
	most := int64(1)
	if s.alone {
		most = 0
	}
	return err == nil && status.Lag >= 0 && status.Lag <= most && status.Gaps == nil
}

// holds polls until a condition holds, or ctx ends.
func holds(ctx context.Context, condition func(ctx context.Context) bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// during runs a projector until what is done meanwhile is done.
func during(ctx context.Context, p *projections.Projector, do ...func(ctx context.Context) error) error {
	running, stop := context.WithCancelCause(ctx)
	ended := make(chan error, 1)
	go func() {
		err := p.Run(running)
		ended <- err
		stop(fmt.Errorf("Run has ended: %w", err))
	}()
	var err error
	for _, step := range do {
		if err == nil {
			err = step(running)
		}
	}
	stop(context.Canceled)
	return errors.Join(err, <-ended)
}

// untilHolds waits for a condition.
func untilHolds(condition func(ctx context.Context) bool) func(ctx context.Context) error {
	return func(ctx context.Context) error { return holds(ctx, condition) }
}

// play is what a process does until it has done it or is dead: it builds, follows the log, or
// the topics and then the log again, retries, skips, rebuilds and follows.
func (s *scene) play(ctx context.Context, store *pgstore.Store, client *kafka.Client) error {
	p := s.projector(store)
	if s.kafka {
		p = s.projector(store, projections.FromKafka(client, projections.WithLogCheck(never)))
	}
	live := func(context.Context) error { s.live(); return nil }
	if !s.alone { // the kind of source is another then
		if err := during(ctx, s.projector(store), untilHolds(s.atHead), live, untilHolds(s.atHead)); err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
	}
	if s.kafka {
		if err := during(ctx, p, untilHolds(s.reads), s.tell, untilHolds(s.caughtUp)); err != nil {
			return fmt.Errorf("follow the topics: %w", err)
		}
	}
	s.mended.Store(true)
	if _, err := p.RetryAll(ctx); err != nil {
		return err
	}
	if err := s.skip(ctx, p); err != nil {
		return err
	}
	if err := p.Rebuild(ctx, projections.WithChunk(7)); err != nil {
		return err
	}
	switch {
	case s.alone:
		return during(ctx, p, untilHolds(s.reads), untilHolds(s.caughtUp))
	case s.kafka: // what Kafka has not brought is found in the log
		p = s.projector(store, projections.FromKafka(client, projections.WithLogCheck(often)))
		s.late()
		if err := during(ctx, p, untilHolds(s.reads), untilHolds(s.atHead)); err != nil {
			return err
		}
		return s.skip(ctx, p)
	default:
		return during(ctx, p, untilHolds(s.atHead))
	}
}

// skip leaves out what is to be left out.
func (s *scene) skip(ctx context.Context, p *projections.Projector) error {
	for _, id := range s.toSkip() {
		if _, err := p.Skip(ctx, id, "cannot be applied"); err != nil && !errors.Is(err, projections.ErrApplied) {
			return err
		}
	}
	return nil
}

func (s *scene) toSkip() []uuid.UUID {
	s.relay.Lock()
	defer s.relay.Unlock()
	return slices.Clone(s.skipped)
}
