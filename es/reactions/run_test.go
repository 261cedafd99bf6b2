package reactions_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/reactions"
)

// fromKafka is a reaction to a topic of the test's own.
type fromKafka struct {
	*world
	client *kafka.Client
	prefix string
}

func newFromKafka(t testing.TB) *fromKafka {
	t.Helper()
	f := &fromKafka{world: newWorld(t)}
	f.client, f.prefix = brokers(t)
	return f
}

func (f *fromKafka) reaction() reactions.Reaction[Event] {
	c := f.world.reaction()
	c.Kafka, c.TopicPrefix = f.client, f.prefix
	return c
}

// publish makes the topic and writes to it.
func (f *fromKafka) publish(partitions int, messages ...kafka.Message) {
	f.Helper()
	if err := f.client.EnsureTopics(f.Context(), kafka.Topic{Name: f.prefix + "order", Partitions: partitions}); err != nil {
		f.Fatal(err)
	}
	producer := f.client.NewProducer()
	for _, m := range messages {
		m.Topic = f.prefix + "order"
		if err := producer.Publish(f.Context(), m); err != nil {
			f.Fatal(err)
		}
	}
	if err := producer.Close(); err != nil {
		f.Fatal(err)
	}
}

func begin(t testing.TB, r *reactions.Reactor) (stop func(), ended <-chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- r.Run(ctx) }()
	t.Cleanup(cancel)
	return cancel, end
}

func await(t testing.TB, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
		return nil
	}
}

func TestRun_waits_for_its_topics_and_parks_what_is_poison(t *testing.T) {
	t.Parallel()
	f := newFromKafka(t)
	f.poisons("a", 2, errPanic)
	r := reactions.New(f.reaction())
	stop, ended := begin(t, r) // before there is a topic
	until(t, "it waits for the topic", func() bool { return f.log.count("waits for its topics", f.prefix+"order") == 1 })
	if status, err := r.Status(t.Context()); err != nil || status.Lag != -1 {
		t.Errorf("%+v, %v", status, err)
	}
	f.publish(1, placed("a", 1, 0), placed("a", 2, 0), placed("a", 3, 0), placed("b", 1, 0))
	until(t, "all is taken", func() bool {
		status, err := r.Status(t.Context())
		return err == nil && status.Lag == 0 && status.Parked == 2
	})
	f.wantParked(`a@1 "panic: worse than an error" tried 2 behind false`, `a@2 "" tried 0 behind true`)
	f.wantEffects("a", 1)
	f.wantEffects("b", 1)
	f.mend()
	list, err := reactions.ListParked(t.Context(), f.store)
	if err != nil {
		t.Fatal(err)
	}
	// While it runs, and by who has no brokers.
	c := f.reaction()
	c.Kafka = nil
	if done, err := reactions.New(c).RetryMessage(t.Context(), list[0].Number); err != nil || done.Reacted != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	f.publish(1, placed("a", 4, 0)) // waits behind the third, which nobody has retried
	until(t, "it is parked", func() bool { return len(f.parked()) == 2 })
	if _, err := r.RetryAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.publish(1, placed("a", 5, 0))
	until(t, "the fifth", func() bool { return len(f.effects("a")) == 5 })
	f.wantEffects("a", 1, 2, 3, 4, 5)
	stop()
	if err := await(t, ended); err != nil {
		t.Fatal(err)
	}
	// Systems apart by a prefix share brokers: their groups are apart too.
	if lag, err := f.client.Lag(t.Context(), f.prefix+"count", f.prefix+"order"); err != nil || lag != 0 || r.Group() != f.prefix+"count" {
		t.Errorf("the group %s of this prefix has a lag of %d, %v", r.Group(), lag, err)
	}
}

func TestRun_finishes_the_reaction_under_way(t *testing.T) {
	t.Parallel()
	f := newFromKafka(t)
	begun, reacted := make(chan struct{}), make(chan error, 1)
	c := f.reaction()
	c.React = func(ctx context.Context, _ Event, _ es.Recorded, tx *pgstore.Tx) error {
		close(begun)
		select {
		case <-ctx.Done(): // at once, without what makes it last
		case <-time.After(300 * time.Millisecond):
		}
		_, err := tx.Tx().Exec(ctx, "select 1")
		reacted <- err
		return err
	}
	f.publish(1, placed("a", 1, 0))
	r := reactions.New(c)
	stop, ended := begin(t, r)
	<-begun
	stop()
	if err := <-reacted; err != nil {
		t.Errorf("the reaction was broken off: %v", err)
	}
	if err := await(t, ended); err != nil {
		t.Fatal(err)
	}
	if c := r.Counts(); c.Reacted != 1 {
		t.Errorf("%+v", c)
	}
}

// One that fails when it is asked to stop is not held against the message.
func TestRun_that_is_stopped_parks_nothing(t *testing.T) {
	t.Parallel()
	f := newFromKafka(t)
	c := f.reaction()
	c.Tries = 1
	begun, stopped := make(chan struct{}), make(chan struct{})
	c.React = func(context.Context, Event, es.Recorded, *pgstore.Tx) error {
		close(begun)
		<-stopped
		return errPoison
	}
	f.publish(1, placed("a", 1, 0))
	stop, ended := begin(t, reactions.New(c))
	<-begun
	stop()
	close(stopped)
	if err := await(t, ended); err != nil {
		t.Fatal(err)
	}
	f.wantParked()
}

// What only an operator can mend, and a store that is another than before, are no matter
// of patience: the reaction ends and says what to do.
func TestRun_ends_with_what_no_patience_cures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		react func(ctx context.Context, tx *pgstore.Tx) error
		text  string
	}{
		"a table of its own is missing": {func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, "insert into nowhere values (1)")
			return err
		}, " migrate`"},
		"a right is missing": {func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, "do $$ begin raise insufficient_privilege; end $$")
			return fmt.Errorf("write it down: %w", err)
		}, "grant"},
		"the store was restored":    {func(context.Context, *pgstore.Tx) error { return fmt.Errorf("x: %w", es.ErrRestored) }, "restored"},
		"it has begun another life": {func(context.Context, *pgstore.Tx) error { return fmt.Errorf("x: %w", es.ErrAnotherLife) }, "another life"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFromKafka(t)
			calls := 0 // the one partition is handled by one goroutine at a time
			c := f.reaction()
			c.React = func(ctx context.Context, _ Event, _ es.Recorded, tx *pgstore.Tx) error {
				calls++
				return test.react(ctx, tx)
			}
			f.publish(1, placed("a", 1, 0), placed("a", 2, 0))
			r := reactions.New(c)
			_, ended := begin(t, r)
			if err := await(t, ended); err == nil || !strings.Contains(err.Error(), test.text) || !strings.HasPrefix(err.Error(), "reactions: count: ") {
				t.Errorf("it ended with %v, want %q in it", err, test.text)
			}
			if counts := r.Counts(); calls != 1 || counts != (reactions.Counts{}) {
				t.Errorf("%d calls, %+v", calls, counts)
			}
			f.wantParked()
			if status, err := r.Status(t.Context()); err != nil || status.Lag != 2 || len(status.Waits) != 1 || !status.Waits[0].Stopped || !strings.Contains(status.Waits[0].Topic, f.prefix) {
				t.Errorf("%+v, %v", status, err)
			}
			c.React = f.react
			next := reactions.New(c)
			begin(t, next)
			until(t, "it goes on, and says so", func() bool {
				status, err := next.Status(t.Context())
				return err == nil && status.Lag == 0 && len(status.Waits) == 0
			})
			f.wantEffects("a", 1, 2)
		})
	}
}

func TestRun_with_more_than_may_be_parked_ends(t *testing.T) {
	t.Parallel()
	f := newFromKafka(t)
	c := f.reaction()
	c.MostParked = 1
	f.poisons("a", 1, errPoison)
	f.publish(1, placed("a", 1, 0), placed("a", 2, 0), placed("b", 1, 0))
	_, ended := begin(t, reactions.New(c))
	if err := await(t, ended); !errors.Is(err, reactions.ErrTooManyParked) {
		t.Error(err)
	}
	f.wantEffects("b")
}

// The tables are looked for before there is a message, and before there is a topic.
func TestRun_ends_at_once_without_tables(t *testing.T) {
	t.Parallel()
	f := newFromKafka(t)
	for _, drop := range []string{"", "drop table asof.parked_messages"} {
		pool, err := pgxpool.New(t.Context(), embeddedtest.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		c := f.reaction()
		if c.Store = pgstore.New(pool); drop != "" {
			c.Store = f.store
			f.exec(drop)
		}
		_, ended := begin(t, reactions.New(c))
		if err := await(t, ended); err == nil || !strings.Contains(err.Error(), "migrate") {
			t.Error(err)
		}
	}
}

func TestRun_stops_while_it_waits_for_a_topic(t *testing.T) {
	t.Parallel()
	f := newFromKafka(t)
	stop, ended := begin(t, reactions.New(f.reaction()))
	stop()
	if err := await(t, ended); err != nil {
		t.Fatal(err)
	}
}

// Members come and go while there is poison: all is reacted to once and in order.
func TestMembers_that_come_and_go_share_the_partitions(t *testing.T) {
	t.Parallel()
	const streams, events = 6, 20
	f := newFromKafka(t)
	var messages []kafka.Message
	for n := range events {
		for s := range streams {
			messages = append(messages, placed(fmt.Sprint(s), n+1, 0))
		}
	}
	f.poisons("1", 4, errPoison)
	f.poisons("3", 1, errPoison)
	f.publish(3, messages[:len(messages)/2]...)
	quiet := f.reaction()
	quiet.Log = slog.New(slog.DiscardHandler)
	member := func() *reactions.Reactor { return reactions.New(quiet) }
	_, first := begin(t, member())
	stop, second := begin(t, member())
	until(t, "some are taken", func() bool { return f.number(`select count(*) from asof.inbox`) > 10 })
	stop()
	f.publish(3, messages[len(messages)/2:]...)
	if err := await(t, second); err != nil {
		t.Error(err)
	}
	begin(t, member())
	until(t, "all are taken", func() bool { return f.number(`select count(*) from asof.inbox`) == streams*events })
	f.inOrder(streams)
	if got := len(f.parked()); got != events-3+events {
		t.Errorf("%d are parked", got)
	}
	f.mend()
	if _, err := member().RetryAll(t.Context()); err != nil {
		t.Error(err)
	}
	f.inOrder(streams)
	if n := f.number(`select count(*) from public.effects`); n != streams*events {
		t.Errorf("%d are reacted to", n)
	}
	select {
	case err := <-first:
		t.Error(err)
	default:
	}
}
