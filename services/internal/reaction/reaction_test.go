package reaction_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/services/internal/reaction"
)

// world is a reaction to a topic of the test's own.
type world struct {
	testing.TB
	config reaction.Config
	prefix string
}

func newWorld(t testing.TB, react func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error) *world {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	quiet := slog.New(slog.DiscardHandler)
	w := &world{TB: t, prefix: "t" + strings.ToLower(rand.Text()[:10]) + "."}
	w.config = reaction.Config{
		Client: client, TopicPrefix: w.prefix, Group: "counter", Topic: "order", Log: quiet,
		Inbox: inbox.New(pgstoretest.New(t), "counter", inbox.WithLogger(quiet)), React: react,
	}
	return w
}

// publish makes the topic and writes events of one stream to it.
func (w *world) publish(n int) {
	w.Helper()
	if err := w.config.Client.EnsureTopics(w.Context(), kafka.Topic{Name: w.prefix + "order", Partitions: 1}); err != nil {
		w.Fatal(err)
	}
	producer := w.config.Client.NewProducer()
	for i := range n {
		e := es.RecordedEvent{ContentType: es.JSONContentType, Data: []byte(`{}`)}
		e.ID, e.Type, e.Schema, e.Stream = es.NewID(), "order.placed", 1, es.StreamID{Category: "order", ID: "o-1"}
		e.Version, e.Position, e.RecordedAt = es.Version(i+1), es.Position(i+1), time.Now()
		if err := producer.Publish(w.Context(), kafka.FromEvent("/orders", w.prefix+"order", e)); err != nil {
			w.Fatal(err)
		}
	}
	if err := producer.Close(); err != nil {
		w.Fatal(err)
	}
}

func (w *world) begin() (stop func(), ended <-chan error) {
	ctx, cancel := context.WithCancel(w.Context())
	end := make(chan error, 1)
	go func() { end <- reaction.Run(ctx, w.config) }()
	return cancel, end
}

func TestRun_waits_for_the_topic_and_tries_again_in_order(t *testing.T) {
	t.Parallel()
	var had []es.Version // the one partition is handled by one goroutine at a time
	done := make(chan struct{})
	failures := 0
	w := newWorld(t, func(_ context.Context, e es.RecordedEvent, _ *pgstore.Tx) error {
		if e.Version == 2 && failures < 3 {
			failures++
			if failures == 2 {
				panic("worse than an error")
			}
			return errors.New("not now")
		}
		if had = append(had, e.Version); len(had) == 4 {
			close(done)
		}
		return nil
	})
	stop, ended := w.begin() // before there is a topic
	w.publish(4)
	select {
	case <-done:
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	case <-t.Context().Done():
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// Systems apart by a prefix share brokers: their groups are apart too.
	if lag, err := w.config.Client.Lag(t.Context(), w.prefix+"counter", w.prefix+"order"); err != nil || lag == 4 {
		t.Errorf("the group of this prefix has acknowledged nothing, lag %d, %v", lag, err)
	}
	if want := []es.Version{1, 2, 3, 4}; !slices.Equal(had, want) || failures != 3 {
		t.Errorf("reacted to %v, with %d failures", had, failures)
	}
}

func TestRun_finishes_the_reaction_under_way(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	reacted := make(chan error, 1)
	w := newWorld(t, func(ctx context.Context, _ es.RecordedEvent, tx *pgstore.Tx) error {
		close(begun)
		select {
		case <-ctx.Done(): // at once, without what makes it last
		case <-time.After(300 * time.Millisecond):
		}
		_, err := tx.Tx().Exec(ctx, "select 1")
		reacted <- err
		return err
	})
	w.publish(1)
	stop, ended := w.begin()
	<-begun
	stop()
	if err := <-reacted; err != nil {
		t.Errorf("the reaction was broken off: %v", err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if counts := w.config.Inbox.Counts(); counts.Reacted != 1 {
		t.Errorf("%+v", counts)
	}
}

// What only an operator can mend, and a store that is another than before, are no
// matter of patience: the process ends and says what to do.
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
			calls := 0 // the one partition is handled by one goroutine at a time
			w := newWorld(t, func(ctx context.Context, _ es.RecordedEvent, tx *pgstore.Tx) error {
				calls++
				return test.react(ctx, tx)
			})
			w.publish(2)
			_, ended := w.begin()
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), test.text) {
					t.Errorf("it ended with %v, want %q in it", err, test.text)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("it goes on")
			}
			if counts := w.config.Inbox.Counts(); calls != 1 || counts.Reacted != 0 {
				t.Errorf("%d calls, %+v", calls, counts)
			}
		})
	}
}

// The inbox's own table is looked for before there is a message, and before there is a
// topic.
func TestRun_ends_at_once_without_tables(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(context.Context, es.RecordedEvent, *pgstore.Tx) error { return errors.New("never") })
	pool, err := pgxpool.New(t.Context(), embeddedtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w.config.Inbox = inbox.New(pgstore.New(pool), "counter", inbox.WithLogger(w.config.Log))
	_, ended := w.begin()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "migrate") {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
}

func TestRun_stops_while_it_waits_for_a_topic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(context.Context, es.RecordedEvent, *pgstore.Tx) error { return errors.New("never") })
	stop, ended := w.begin()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
