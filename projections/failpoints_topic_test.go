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
	"github.com/asof-dev/asof/projections"
)

// What failpoints_test.go does with a projection that follows the log, these do with one that
// a topic feeds, with the log behind it or without one.

// topicScene is a scene with a topic of its own. What is published comes from a relay that
// lives on.
type topicScene struct {
	*scene
	topic  *cluster
	target *world // where the read model stands: of topics alone not where the log does
	alone  bool
	life   uuid.UUID
	relay  sync.Mutex
	lost   int     // place of an event in the history that was not published at first
	steps  [][]int // places of those that are published while the topic is read
	told   int     // steps that are done
}

// scenes makes topicScenes that share databases and brokers.
type scenes struct {
	topic  *cluster
	target *world
	alone  bool
	life   uuid.UUID
	count  atomic.Int64
}

func (all *scenes) next(t *testing.T) *topicScene {
	n := all.count.Add(1)
	source, target, topic := *all.topic.world, *all.target, *all.topic
	source.TB, target.TB = t, t
	source.category = fmt.Sprintf("account%d-%s", n, uuid.NewString())
	target.category = source.category
	topic.world, topic.sent = &source, 0
	s := &topicScene{scene: &scene{world: &source, n: n, mended: new(atomic.Bool)}, topic: &topic, target: &target, alone: all.alone, life: all.life}
	topic.makeTopic()
	return s
}

// projector is that of a process, whose database and brokers it reaches by what it is given.
func (s *topicScene) projector(target projections.Target, client *kafka.Client) *projections.Projector {
	def := poisonedTotals(s.mended)
	def.Name, def.Categories = s.name(), []string{s.category}
	return projections.New(target, def, projections.WithBatch(4), projections.WithPoll(time.Millisecond),
		projections.FromKafka(client, projections.WithLogCheck(often)))
}

// looking is the projector of the test itself.
func (s *topicScene) looking() *projections.Projector {
	if s.alone {
		return s.projector(projections.In(s.target.pool, "asof"), s.topic.client)
	}
	return s.projector(s.store, s.topic.client)
}

// publish sends events of the scene's history by their places in it.
func (s *topicScene) publish(places ...int) {
	s.Helper()
	history := s.mine(s.TB.(*testing.T))
	messages := make([]kafka.Message, len(places))
	for i, place := range places {
		messages[i] = kafka.FromEvent(eventSource, s.category, history[place])
		messages[i].Headers = append(messages[i].Headers, kafka.LifeHeader(s.life))
	}
	s.topic.send(messages...)
}

// begin appends and publishes what is there at first, with an event doubled and one that
// lacks: the second of a-0.
func (s *topicScene) begin() {
	s.scene.begin()
	for place, e := range s.mine(s.TB.(*testing.T)) {
		if e.Stream.ID == "a-0" && e.Version == 2 {
			s.lost = place
		} else {
			s.publish(place)
		}
	}
	s.publish(0)
}

// tell appends and publishes, once, what comes while the topic is read: events that are lost,
// doubled, and come before others. Of topics alone what lacks comes later, one after the other.
func (s *topicScene) tell(ctx context.Context) error {
	s.relay.Lock()
	defer s.relay.Unlock()
	if s.steps == nil {
		n := len(s.mine(s.TB.(*testing.T)))
		s.append("a-0", Deposited{Cents: 7}, Deposited{Cents: 8}, Deposited{Cents: 9})
		s.append("a-1", Deposited{Cents: 70}, Withdrawn{Cents: 71})
		s.append("a-2", Deposited{Cents: 700})
		s.steps = [][]int{{n + 2, n + 3, n + 1, n + 3, n, n + 4}} // what a-2 has is lost
		if s.alone {
			s.steps = [][]int{{n + 1, n + 3, n + 2, n + 3}, {s.lost, n + 5}, {n, n + 4, n + 2}}
		}
	}
	for ; s.told < len(s.steps); s.told++ {
		if err := holds(ctx, s.allRead); err != nil {
			return err
		}
		s.publish(s.steps[s.told]...)
	}
	return nil
}

// reads reports that the live build reads each partition.
func (s *topicScene) reads(ctx context.Context) bool {
	status, err := s.looking().Status(ctx)
	if err != nil || status.Build == 0 || !readsKafka(status.Source) {
		return false
	}
	return s.target.number(`select count(*) from asof.offsets where build = $1`, status.Build) == partitions
}

// allRead reports that all messages are read, or all of the log is applied.
func (s *topicScene) allRead(ctx context.Context) bool {
	status, err := s.looking().Status(ctx)
	return err == nil && status.Lag == 0
}

// caughtUp reports that nothing lacks which was told.
func (s *topicScene) caughtUp(ctx context.Context) bool {
	status, err := s.looking().Status(ctx)
	return err == nil && status.Lag == 0 && status.Gaps == nil
}

// follow runs the projector until all that is told has come.
func (s *topicScene) follow(ctx context.Context, p *projections.Projector) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx); stop() }()
	err := holds(ctx, s.reads)
	if err == nil {
		err = s.tell(ctx)
	}
	if err == nil {
		err = holds(ctx, s.caughtUp)
	}
	stop()
	return errors.Join(err, <-ended)
}

// holds polls until a condition holds, or ctx ends.
func holds(ctx context.Context, condition func(ctx context.Context) bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// play follows, which builds before, retries, skips, rebuilds and follows again, until it is
// done or dead.
func (s *topicScene) play(ctx context.Context, p *projections.Projector, skipped uuid.UUID) error {
	if err := s.follow(ctx, p); err != nil {
		return err
	}
	s.mended.Store(true)
	if _, err := p.RetryAll(ctx); err != nil {
		return err
	}
	if _, err := p.Skip(ctx, skipped, "cannot be read"); err != nil && !errors.Is(err, projections.ErrApplied) {
		return err
	}
	if err := p.Rebuild(ctx, projections.WithChunk(7)); err != nil {
		return err
	}
	return s.follow(ctx, p)
}

// applied is what the books say is applied: of each stream what is known by its version, and
// of the log what lies below the position.
func (s *topicScene) applied(t *testing.T, status projections.Status) (list []es.RecordedEvent, last map[es.StreamID]es.Version) {
	t.Helper()
	type row struct {
		Category, Stream string
		Version          int64
	}
	last = map[es.StreamID]es.Version{}
	rows, err := s.target.pool.Query(t.Context(), `select category, stream_id, version from asof.dedup where build = $1`, status.Build)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.Category, &r.Stream, &r.Version); err != nil {
			t.Fatal(err)
		}
		last[es.StreamID{Category: r.Category, ID: r.Stream}] = es.Version(r.Version)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.mine(t) {
		if e.Position <= status.Position || e.Version <= last[e.Stream] {
			list = append(list, e)
			last[e.Stream] = max(last[e.Stream], e.Version)
		}
	}
	return list, last
}

// whole checks what stands in the database now: the live rows, the sums, the offsets and the
// gaps are those of what the books say is applied.
func (s *topicScene) whole(t *testing.T, what string, skipped uuid.UUID) {
	t.Helper()
	status, err := s.looking().Status(t.Context())
	if errors.Is(err, projections.ErrNotBuilt) || err == nil && status.Build == 0 {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	applied, last := s.applied(t, status)
	s.wantRows(t, what, status, applied, skipped)
	s.wantSums(t, what, status, applied)
	s.wantRead(t, what, status, last)
}

// wantRows compares the live rows with the fold of what is applied, but for what is parked or
// skipped.
func (s *topicScene) wantRows(t *testing.T, what string, status projections.Status, applied []es.RecordedEvent, skipped uuid.UUID) {
	t.Helper()
	skips, err := projections.ListSkipped(t.Context(), projections.In(s.target.pool, "asof"), s.name())
	if err != nil {
		t.Fatal(err)
	}
	applied = slices.DeleteFunc(slices.Clone(applied), func(e es.RecordedEvent) bool { return len(skips) > 0 && e.ID == skipped })
	want := wantTotalsBut(t, what, projections.In(s.target.pool, "asof"), status, applied)
	t.Log(what, ":", len(applied), "applied,", status.Parked, "parked,", len(skips), "skips")
	same(t, want, readTable(t, s.target.pool, s.name()+".totals", byBucket))
}

// wantSums compares what the books have summed up with what they say is applied.
func (s *topicScene) wantSums(t *testing.T, what string, status projections.Status, applied []es.RecordedEvent) {
	t.Helper()
	ids := make([]string, len(applied))
	for i, e := range applied {
		ids[i] = e.ID.String()
	}
	wrong := s.target.number(`
		select count(*)
		from (select count(*) n, coalesce(bit_xor(uuid_hash_extended(id, 0)), 0) h from unnest($1::text[]::uuid[]) id) e
		cross join (select coalesce(sum(events), 0) n, coalesce(bit_xor(hash), 0) h from asof.sums where build = $2) s
		where (e.n, e.h) is distinct from (s.n, s.h)`, ids, status.Build)
	if wrong != 0 {
		t.Fatalf("%s: the sums are not those of the %d events that are applied", what, len(applied))
	}
}

// wantRead checks that nothing below the offsets is forgotten: it is applied, or its stream
// has a gap from which it is read again, or the log will bring it.
func (s *topicScene) wantRead(t *testing.T, what string, status projections.Status, last map[es.StreamID]es.Version) {
	t.Helper()
	for number := range partitions {
		next := s.target.number(`select coalesce(max(next_offset), 0) from asof.offsets where build = $1 and partition = $2`, status.Build, number)
		err := s.topic.client.Range(t.Context(), s.category, number, 0, next, func(messages []kafka.Message) error {
			for _, m := range messages {
				e, err := kafka.ToEvent(m)
				if err != nil || e.Version <= last[e.Stream] {
					continue
				}
				again := s.target.number(`select count(*) from asof.gaps where build = $1 and stream_id = $2 and topic = $3 and partition = $4 and next_offset <= $5 and not lost`,
					status.Build, e.Stream.ID, s.category, number, m.Offset)
				if again != 1 {
					return fmt.Errorf("%s: version %d of %s stands at offset %d, below %d, is not applied and would not be read again", what, e.Version, e.Stream, m.Offset, next)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dies lets a process play until it dies before a message, and another go on from there.
func (s *topicScene) dies(t *testing.T, at int64) (sent int64) {
	t.Helper()
	s.begin()
	skipped := s.unreadableOne(t)
	what := fmt.Sprintf("dead before message %d", at)
	store, m, ctx := s.target.process(at)
	var target projections.Target = store
	if s.alone {
		target = projections.In(store.Pool(), "asof")
	}
	client := newClient(t, s.topic.brokers...)
	ended := make(chan error, 1)
	go func() { ended <- s.play(ctx, s.projector(target, client), skipped) }()
	if err := <-ended; err != nil && !m.dead.Load() {
		t.Fatalf("a process that lives: %v", err)
	}
	until(t, "its sessions have ended", func() bool {
		return s.target.number(`select count(*) from pg_stat_activity where application_name = $1 and state <> 'idle'`, s.category) == 0
	})
	s.whole(t, what, skipped)
	s.target.exec(`update asof.builds set lease_until = null where name = $1`, s.name()) // 30 seconds later
	if err := s.play(within(t, time.Minute), s.looking(), skipped); err != nil {
		t.Fatalf("%s, and then: %v", what, err)
	}
	s.whole(t, what+", and then", skipped)
	s.wantClean(t, what, skipped)
	return m.sent.Load()
}

// wantClean compares what was come to with the clean fold of all that happened.
func (s *topicScene) wantClean(t *testing.T, what string, skipped uuid.UUID) {
	t.Helper()
	history := s.mine(t)
	all := without(history, es.RecordedEvent{Recorded: es.Recorded{ID: skipped}})
	if len(all) != len(history)-1 {
		t.Fatalf("%s: the skipped event is none of the history", what)
	}
	same(t, s.foldTotals(all), readTable(t, s.target.pool, s.name()+".totals", byBucket))
	if status, err := s.looking().Status(t.Context()); err != nil || status.Parked != 0 || status.Building != nil || status.Lag != 0 || status.Gaps != nil {
		t.Fatalf("%s, and then: %+v, %v", what, status, err)
	}
}

func (s *topicScene) unreadableOne(t *testing.T) (id uuid.UUID) {
	t.Helper()
	err := s.pool.QueryRow(t.Context(), `select event_id from asof.events where category = $1 order by position desc limit 1`, s.category).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// atOnce is how many scenes play at the same time: they mostly wait for their consumer groups.
const atOnce = 10

func (all *scenes) playAll(t *testing.T) {
	t.Helper()
	last := all.next(t).dies(t, 0)
	t.Logf("%d messages", last)
	if last < 30 {
		t.Fatalf("%d messages: the scene plays nothing", last)
	}
	var next atomic.Int64
	var players sync.WaitGroup
	for range atOnce {
		players.Go(func() {
			for at := next.Add(1); at <= last; at = next.Add(1) {
				t.Run(fmt.Sprint(at), func(t *testing.T) { all.next(t).dies(t, at) })
			}
		})
	}
	players.Wait()
}

func TestProcess_that_a_topic_feeds_beside_the_log_dies_at_any_step(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	life, err := c.store.Life(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := &scenes{topic: c, target: c.world, life: life}
	all.playAll(t)
}

func TestProcess_that_topics_alone_feed_dies_at_any_step(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	all := &scenes{topic: g.cluster, target: g.target, life: g.life, alone: true}
	all.playAll(t)
}
