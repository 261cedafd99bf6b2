package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// guest is a service whose read models are of the events of another one, which it gets by
// Kafka alone.
type guest struct {
	*cluster        // the other service, with its log and its topic
	target   *world // the guest's own database
}

func newGuest(t testing.TB) *guest {
	t.Helper()
	g := &guest{cluster: newCluster(t), target: newWorldOn(t, pgstoretest.New(t))}
	g.life = g.lifeOfLog()
	return g
}

func (g *guest) in() projections.Target { return projections.In(g.target.pool, "asof") }

func (g *guest) projector(def projections.Definition, options ...projections.Option) *projections.Projector {
	options = append([]projections.Option{projections.FromKafka(g.client, projections.WithLogCheck(often))}, options...)
	return projections.New(g.in(), def, options...)
}

// tell publishes events as the relay of their store does.
func (g *guest) tell(source string, life uuid.UUID, events ...es.RecordedEvent) {
	g.Helper()
	messages := make([]kafka.Message, len(events))
	for i, e := range events {
		messages[i] = kafka.FromEvent(source, g.category, e)
		messages[i].Headers = append(messages[i].Headers, kafka.LifeHeader(life))
	}
	g.send(messages...)
}

// untilAll waits until all that was sent is read.
func (g *guest) untilAll(p *projections.Projector) {
	g.Helper()
	until(g, "all messages are read", func() bool {
		s, err := p.Status(g.Context())
		return err == nil && s.Lag == 0
	})
}

func (g *guest) wantTotals() {
	g.Helper()
	same(g, g.foldTotals(g.history()), tableOf(g.target, "totals.totals", byBucket))
}

func TestTopics_alone_feed_a_read_model_in_another_database(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for n := range 20 {
		g.append(name(n%5), Opened{Owner: "ann"}, Deposited{Cents: int64(n)})
	}
	g.tell(eventSource, g.life, g.history()...)
	p := g.projector(g.totals())
	start(t, p)
	g.untilAll(p)
	g.wantTotals()

	random := mangled()
	before := len(g.history())
	for n := range 40 {
		g.append(name(n%5), Deposited{Cents: 7}, Withdrawn{Cents: int64(n)}, Deposited{Cents: 9})
	}
	g.tell(eventSource, g.life, random(g.history()[before:])...) // some are lost, some come twice
	g.untilAll(p)
	status := g.status(p)
	if status.Gaps == nil || status.Gaps.Streams == 0 || status.Gaps.Lost != 0 || status.Gaps.Since.IsZero() || status.Failure != "" || !strings.HasPrefix(status.Source, "kafka topic ") {
		t.Errorf("%+v, gaps %+v", status, status.Gaps)
	}
	g.tell(eventSource, g.life, g.history()...)
	until(t, "all streams are whole", func() bool { return g.status(p).Gaps == nil })
	g.untilAll(p)
	g.wantTotals()

	recorded := g.history()
	token, err := g.store.Token(t.Context(), recorded[len(recorded)-1].Recorded)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WaitForToken(within(t, patient), token); err != nil {
		t.Error(err)
	}
	last := g.append("a-1", Deposited{Cents: 3})
	next := g.history()[len(recorded)]
	if token, err = g.store.Token(t.Context(), next.Recorded); err != nil || token.Position != last {
		t.Fatal(token, err)
	}
	if err := p.WaitForToken(within(t, 200*time.Millisecond), token); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what was not published: %v", err)
	}
	g.tell(eventSource, g.life, next)
	if err := p.WaitForToken(within(t, patient), token); err != nil {
		t.Error(err)
	}
	g.wantTotals()
	token.Stream.Category = "others"
	if err := p.WaitForToken(t.Context(), token); !errors.Is(err, es.ErrInvalid) {
		t.Errorf("a category that is not the projection's: %v", err)
	}
}

// A stream that lacks an event waits behind it, the others go on, and what waited is
// applied in order once the event has come.
func TestTopics_alone_wait_at_a_gap(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.balances())
	start(t, p)
	g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100}, Opened{Owner: "bob"})
	g.append("a-2", Deposited{Cents: 5})
	e := g.history()
	cents := func() int64 {
		return g.target.number(`select coalesce(sum(cents), 0) from balances.balances where account = 'a-1'`)
	}
	g.tell(eventSource, g.life, e[0], e[2], e[3], e[5]) // the second is missing
	g.untilAll(p)
	if n := cents(); n != 0 {
		t.Errorf("%d cents behind a gap", n)
	}
	if n := g.target.number(`select cents from balances.balances where account = 'a-2'`); n != 5 {
		t.Errorf("the other stream has %d", n)
	}
	if gaps := g.status(p).Gaps; gaps == nil || gaps.Streams != 1 {
		t.Fatalf("%+v", gaps)
	}
	g.tell(eventSource, g.life, e[4], e[3]) // more behind it
	g.untilAll(p)
	if gaps := g.status(p).Gaps; gaps == nil || gaps.Streams != 1 || cents() != 0 {
		t.Fatalf("%+v, %d", gaps, cents())
	}
	g.tell(eventSource, g.life, e[1])
	until(t, "the stream is whole", func() bool { return g.status(p).Gaps == nil })
	if n := cents(); n != 111 {
		t.Errorf("%d cents", n)
	}
	same(t, g.foldBalances(e), tableOf(g.target, "balances.balances", byAccount))
}

// A stream may lack several events, of which one comes before another, and other services'
// streams of its name stand between.
func TestTopics_alone_wait_at_each_gap(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.totals())
	start(t, p)
	g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100}, Deposited{Cents: 1000}, Deposited{Cents: 10_000})
	e, other := g.history(), uuid.New()
	want := func(cents int64, gaps int) {
		t.Helper()
		until(t, fmt.Sprintf("%d cents, %d gaps", cents, gaps), func() bool {
			n := g.target.number(`select coalesce(sum(cents), 0) from totals.totals where bucket = 'all'`)
			s := g.status(p)
			return s.Lag == 0 && n == cents && (s.Gaps == nil) == (gaps == 0) && (s.Gaps == nil || s.Gaps.Streams == int64(gaps))
		})
	}
	g.tell("/one", g.life, e[0], e[2]) // lacks 2
	g.untilAll(p)
	g.tell("/other", other, e[0], e[1], e[3])
	g.tell("/one", g.life, e[4]) // lacks 4
	want(1+11, 2)
	g.tell("/one", g.life, e[1])
	want(111+11, 2)
	g.tell("/one", g.life, e[3])
	want(11_111+11, 1)
	g.tell("/other", other, e[2])
	want(11_111+1111, 0)
}

// A process that dies when the event has come, and what waited is not read again yet.
func TestTopics_alone_read_again_after_a_stop(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100})
	e := g.history()
	p := g.projector(g.balances())
	g.tell(eventSource, g.life, e[0], e[2])
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.target.exec(`update asof.dedup set version = 2`) // as it is then
	g.target.exec(`update balances.balances set cents = 11`)
	start(t, p)
	until(t, "the stream is whole", func() bool { return g.status(p).Gaps == nil })
	if n := g.target.number(`select cents from balances.balances`); n != 111 {
		t.Errorf("%d cents", n)
	}
}

// What came behind a gap and is not kept any more only a rebuild heals, which says what the
// topic lacks.
func TestTopics_alone_say_what_is_lost(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.balances())
	start(t, p)
	g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}, Deposited{Cents: 10})
	e := g.history()
	g.tell(eventSource, g.life, e[0], e[2])
	g.untilAll(p)
	number := int(g.target.number(`select partition from asof.gaps`))
	g.deleteBefore(number, 2)
	g.tell(eventSource, g.life, e[1])
	until(t, "the loss is seen", func() bool { s := g.status(p); return s.Gaps != nil && s.Gaps.Lost == 1 })
	if err := g.projector(g.balances()).Rebuild(within(t, patient)); !errors.Is(err, projections.ErrTopicLost) || !contains(err, "begins at offset 2") || !contains(err, "retention.ms=-1") {
		t.Errorf("a topic that lacks its beginning: %v", err)
	}
}

func TestTopics_alone_that_are_not_whole_are_refused(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.balances())
	g.append("a-1", Opened{Owner: "ann"})
	g.tell(eventSource, g.life, g.history()...)
	stop := start(t, p)
	g.untilAll(p)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	g.deleteTopic()
	g.makeTopic()
	for _, longer := range []bool{false, true} { // than it was
		if longer {
			g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 2})
			g.tell(eventSource, g.life, g.history()...)
		}
		if err := p.Run(within(t, patient)); !errors.Is(err, projections.ErrTopicLost) || !contains(err, "was made anew") {
			t.Errorf("a topic that was made anew: %v", err)
		}
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, g.foldBalances(g.history()), tableOf(g.target, "balances.balances", byAccount))

	stop = start(t, p)
	g.untilAll(p)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	g.append("a-1", Deposited{Cents: 3}, Deposited{Cents: 4})
	g.tell(eventSource, g.life, g.history()[3:]...)
	number := int(g.target.number(`select partition from asof.offsets where build = (select id from asof.builds where status = 'live') and next_offset > 0`))
	g.deleteBefore(number, 4)
	if err := p.Run(within(t, patient)); !errors.Is(err, projections.ErrTopicLost) || !contains(err, "what was between is not kept") {
		t.Errorf("a topic that has lost what was not read yet: %v", err)
	}
	compacted := "account-" + uuid.NewString()
	if err := g.client.EnsureTopics(t.Context(), kafka.Topic{Name: compacted, Partitions: 1, Config: map[string]string{"cleanup.policy": "compact"}}); err != nil {
		t.Fatal(err)
	}
	def := g.balances()
	def.Name, def.Categories = "compacted", []string{compacted}
	if err := g.projector(def).Rebuild(within(t, patient)); !errors.Is(err, projections.ErrTopicLost) || !contains(err, "is compacted") {
		t.Errorf("a compacted topic: %v", err)
	}
}

func TestTopics_alone_of_another_life_stop(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.balances())
	g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	e := g.history()
	g.tell(eventSource, g.life, e[0])
	stop := start(t, p)
	g.untilAll(p)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	g.append("a-2", Opened{Owner: "bob"})
	other := g.history()[2]
	messages := []kafka.Message{kafka.FromEvent(eventSource, g.category, other), kafka.FromEvent(eventSource, g.category, e[1])}
	messages[0].Headers = append(messages[0].Headers, kafka.LifeHeader(g.life))
	messages[1].Headers = append(messages[1].Headers, kafka.LifeHeader(uuid.New()))
	messages[0].Key = messages[1].Key // one batch
	g.send(messages...)
	if err := p.Run(within(t, patient)); !errors.Is(err, es.ErrAnotherLife) || !contains(err, "rebuild it") {
		t.Errorf("got %v", err)
	}
	if n := g.target.number(`select cents from balances.balances where account = 'a-1'`); n != 0 {
		t.Errorf("%d cents of another life", n)
	}
}

// Streams of one name of several services are not one stream.
func TestTopics_alone_keep_sources_apart(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.totals())
	start(t, p)
	g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10})
	e := g.history()
	g.tell("/one", g.life, e[0])
	g.tell("/other", uuid.New(), e[0])
	g.tell("/one", g.life, e[1])
	g.untilAll(p)
	if n := g.target.number(`select cents from totals.totals where bucket = 'all'`); n != 12 {
		t.Errorf("%d cents", n)
	}
	only := g.totals()
	only.Name = "single"
	p = projections.New(g.in(), only, projections.FromKafka(g.client, projections.WithEventSource("/one")))
	start(t, p)
	g.untilAll(p)
	if n := g.target.number(`select cents from single.totals where bucket = 'all'`); n != 11 || g.status(p).Foreign != 1 {
		t.Errorf("%d cents, %+v", n, g.status(p))
	}
}

// A rebuild reads the topics from their beginning, and switches while messages come.
func TestTopics_alone_are_rebuilt_under_load(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.totals())
	start(t, p)
	start(t, g.projector(g.totals()))
	stopRelay := g.relay(asIs)
	stop := g.load(2)
	until(t, "some is applied", func() bool {
		return g.target.number(`select count(*) filter (where status = 'live') - count(*) filter (where status = 'building') from asof.builds`) == 1 && g.target.number(`select count(*) from asof.sums`) > 0
	})
	g.target.exec(`update totals.totals set cents = -1`)
	for range 2 {
		var phases []string
		err := g.projector(g.totals()).Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) { phases = append(phases, p.Phase) }))
		if err != nil || len(phases) < 3 || phases[len(phases)-1] != "live" {
			t.Fatalf("%v, %v", phases, err)
		}
	}
	stop()
	stopRelay()
	until(t, "all is read", func() bool { s, err := p.Status(t.Context()); return err == nil && s.Lag == 0 })
	g.wantTotals()
	if err := g.projector(g.totals()).Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "all is read", func() bool { s, err := p.Status(t.Context()); return err == nil && s.Lag == 0 })
	g.wantTotals()
}

// Processes share the partitions, lose their connections, and apply each event once.
func TestTopics_alone_killed_connections_lose_and_double_nothing(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.totals(), projections.WithBatch(20))
	start(t, p)
	start(t, g.projector(g.totals(), projections.WithBatch(30)))
	stopRelay := g.relay(asIs)
	stop := g.load(2)
	conn, err := pgx.ConnectConfig(t.Context(), g.target.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	killed := int64(0)
	until(t, "batches killed", func() bool {
		var n int64
		err := conn.QueryRow(t.Context(), `
			select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null and query ~ '[.](builds|lanes|offsets|dedup)'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		killed += n
		return killed >= 8
	})
	stop()
	stopRelay()
	until(t, "all is read", func() bool { s, err := p.Status(t.Context()); return err == nil && s.Lag == 0 })
	g.wantTotals()
}

func TestTopics_alone_park_what_cannot_be_applied(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	mended := new(atomic.Bool)
	def := poisonedBalances(mended)
	def.Categories = []string{g.category}
	def.Table = strings.Replace(def.Table, "cents bigint not null", "cents bigint not null check (cents < 1000)", 1)
	p := g.projector(def)
	start(t, p)
	g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	g.append("a-2", Deposited{Cents: 5}, Deposited{Cents: 5000}, Deposited{Cents: 6})
	g.append("a-3", Deposited{Cents: 7})
	g.tell(eventSource, g.life, g.history()...)
	g.untilAll(p)
	wantParked(t, p, g.in(), 4)
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done.Applied != 2 || done.Parked != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	list := wantParked(t, p, g.in(), 2)
	if done, err := p.Skip(t.Context(), list[0].Event.ID, "too much"); err != nil || done.Applied != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, g.in(), 0)
	for account, want := range map[string]int64{"a-1": 100 + failsEverywhere, "a-2": 11, "a-3": 7} {
		if n := g.target.number(`select cents from balances.balances where account = $1`, account); n != want {
			t.Errorf("%s has %d, want %d", account, n, want)
		}
	}
}

// What is parked of a service's stream does not concern another's of the same name.
func TestTopics_alone_park_by_source(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	mended := new(atomic.Bool)
	def := poisonedTotals(mended)
	def.Categories = []string{g.category}
	p := g.projector(def)
	g.append("a-1", Deposited{Cents: failsForAll}, Deposited{Cents: 1000})
	e, other := g.history(), g.life
	other[0]++
	g.tell("/one", g.life, e...)
	g.tell("/other", other, e[0])
	start(t, p)
	g.untilAll(p)
	list := wantParked(t, p, g.in(), 3)
	if list[0].Source == list[1].Source || list[0].Source+list[1].Source+list[2].Source == "" {
		t.Errorf("%+v", list)
	}
	all := func() int64 {
		return g.target.number(`select coalesce(sum(cents), 0) from totals.totals where bucket = 'all'`)
	}
	g.tell("/third", other, es.RecordedEvent{Recorded: e[1].Recorded, Data: e[1].Data}) // lacks the first: a gap, not parked
	g.untilAll(p)
	wantParked(t, p, g.in(), 3)
	of := func(life uuid.UUID, n int) es.Token {
		return es.Token{Life: life, Position: e[n].Position, Stream: e[n].Stream, Version: e[n].Version}
	}
	for _, token := range []es.Token{of(g.life, 0), of(g.life, 1), of(other, 0)} {
		var parked *projections.ParkedError
		if err := p.WaitForToken(within(t, patient), token); !errors.As(err, &parked) || parked.Version != 1 {
			t.Errorf("%+v: %v", token, err)
		}
	}
	mended.Store(true)
	if done, err := p.RetrySequence(t.Context(), e[0].Stream); err != nil || done.Applied != 3 || all() != 2*failsForAll+1000 {
		t.Errorf("%+v, %v, %d cents", done, err, all())
	}
	if err := p.WaitForToken(within(t, patient), of(other, 0)); err != nil {
		t.Error(err)
	}
	if err := p.WaitForToken(within(t, 300*time.Millisecond), of(other, 1)); err == nil {
		t.Error("it has waited for what another source has")
	}
	wantParked(t, p, g.in(), 0)
}

func TestTopics_alone_too_many_gaps_stop(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for n := range 4 {
		g.append(name(n), Deposited{Cents: 1}, Deposited{Cents: 2})
	}
	var seconds []es.RecordedEvent
	for _, e := range g.history() {
		if e.Version == 2 {
			seconds = append(seconds, e)
		}
	}
	g.tell(eventSource, g.life, seconds...)
	err := g.projector(g.balances(), projections.WithParked(3)).Rebuild(within(t, patient))
	if !errors.Is(err, projections.ErrTooManyGaps) || !contains(err, "WithParked") {
		t.Errorf("got %v", err)
	}
}

func TestTopics_alone_have_no_log(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.balances())
	g.append("a-1", Opened{Owner: "ann"})
	g.tell(eventSource, g.life, g.history()...)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, verified := p.Verify(t.Context())
	for what, err := range map[string]error{
		"as of":    p.AsOf(t.Context(), es.AtPosition(1), nil),
		"rewind":   p.Rewind(t.Context(), 1),
		"wait for": p.WaitFor(t.Context(), 1),
		"verify":   verified,
	} {
		if !errors.Is(err, projections.ErrNoLog) {
			t.Errorf("%s: %v", what, err)
		}
	}
	order := g.balances()
	order.Order = projections.LogOrder
	for text, p := range map[string]*projections.Projector{
		"Order is OneStream or Commuting": g.projector(order),
		"needs Categories":                g.projector(balances()),
		"no log":                          projections.New(g.in(), g.balances()),
		"rebuild it with this program":    g.projector(g.balances(), projections.FromLog(g.store)),
	} {
		if err := p.Run(within(t, patient)); !errors.Is(err, projections.ErrInvalid) || !contains(err, text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A read model that was fed from a log is fed from the topics by a rebuild, and back.
func TestTopics_alone_in_the_place_of_the_log_and_back(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	def := g.balances()
	fromLog := projections.New(g.in(), def, projections.FromLog(g.store))
	g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	if err := fromLog.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.tell(eventSource, g.life, g.history()...)
	alone := g.projector(def)
	for range 2 {
		if err := alone.Run(within(t, patient)); !errors.Is(err, projections.ErrInvalid) || !contains(err, "rebuild it with this program") {
			t.Fatalf("tables that the log feeds: %v", err)
		}
		if err := alone.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, g.foldBalances(g.history()), tableOf(g.target, "balances.balances", byAccount))
		if err := fromLog.Run(within(t, patient)); !errors.Is(err, projections.ErrInvalid) || !contains(err, "rebuild it with this program") {
			t.Fatalf("tables that topics feed: %v", err)
		}
		if err := fromLog.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, g.foldBalances(g.history()), tableOf(g.target, "balances.balances", byAccount))
	}
	if err := alone.Rollback(t.Context()); err != nil { // the kept one is of the topics
		t.Error(err)
	}
	if fmt.Sprint(g.status(alone).Version) != "1" {
		t.Error("it is not live")
	}
}
