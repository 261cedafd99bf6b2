package inbox_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// of is an event's message in a life of the store.
func of(life uuid.UUID, e es.RecordedEvent) *message.Message {
	return delivered("/orders", e, kafka.LifeHeader(life))
}

// A store is put back to a backup and goes on: its events have versions and positions
// of events that were reacted to. Nothing of the new life passes for a repetition, and
// nothing is reacted to before somebody has looked.
func TestAnother_life_is_refused_until_it_is_accepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, restored := es.NewID(), es.NewID()
	kept, lost, other := placed("1", 1, 10), placed("2", 1, 11), placed("3", 1, 11)
	process := func() *inbox.Inbox { return inbox.New(w.store, "reserve") }
	one, two := process(), process()
	for _, m := range []*message.Message{of(old, kept), of(old, lost)} {
		if err := one.Handle(reserveFor)(m); err != nil {
			t.Fatal(err)
		}
	}
	w.want(2, 2)

	for what, box := range map[string]*inbox.Inbox{"who met the old life": one, "another process": two, "one that starts": process()} {
		for _, m := range []*message.Message{of(restored, other), of(restored, kept)} {
			err := box.Handle(reserveFor)(m)
			another, ok := errors.AsType[*inbox.AnotherLifeError](err)
			if !errors.Is(err, es.ErrAnotherLife) || !ok || another.Source != "/orders" || another.Life != restored || another.Known != old || another.Consumer != "reserve" {
				t.Errorf("%s: %v", what, err)
			}
			for _, part := range []string{"/orders", restored.String(), old.String(), "reserve", "accept"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q does not say %s", what, err, part)
				}
			}
		}
		if c := box.Counts(); c.Repeated != 0 || c.Late != 0 || c.Foreign != 0 {
			t.Errorf("%s: %+v", what, c)
		}
	}
	w.want(2, 2)
	if n := w.number(`select count(*) from asof.inbox_lives`); n != 1 {
		t.Errorf("a refusal has written: %d lives", n)
	}

	for range 2 { // once more changes nothing
		if err := two.Accept(t.Context(), "/orders", restored, 10); err != nil {
			t.Fatal(err)
		}
	}
	for _, box := range []*inbox.Inbox{one, two, process()} { // each sees what one accepted
		for _, m := range []*message.Message{of(restored, other), of(restored, kept)} {
			if err := box.Handle(reserveFor)(m); err != nil {
				t.Error(err)
			}
		}
	}
	w.want(3, 3) // other, once; kept came again under its id
}

// After the acceptance messages of the former life hold up to where the store has lost
// nothing, and only there. None leads back to it.
func TestLate_messages_of_a_former_life_hold_up_to_what_was_kept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log, text := logger()
	first, second, third := es.NewID(), es.NewID(), es.NewID()
	box := inbox.New(w.store, "reserve", inbox.WithLogger(log))
	stale := inbox.New(w.store, "reserve") // a process that has seen the first life alone
	handle, late := box.Handle(reserveFor), stale.Handle(reserveFor)
	do := func(what string, handle message.NoPublishHandlerFunc, m *message.Message, want error, events int64) {
		t.Helper()
		if err := handle(m); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
		w.want(events, events)
	}
	do("the first life", late, of(first, placed("1", 1, 5)), nil, 1)
	if err := box.Accept(t.Context(), "/orders", second, 100); err != nil {
		t.Fatal(err)
	}
	do("late, and kept", late, of(first, placed("2", 1, 100)), nil, 2)
	do("late, and lost perhaps", late, of(first, placed("3", 1, 101)), nil, 2)
	unplaced := of(first, placed("4", 1, 7))
	delete(unplaced.Metadata, "ce_position")
	do("late, nobody knows from where", handle, unplaced, nil, 2)
	do("the second life", late, of(second, placed("5", 1, 101)), nil, 3)
	do("an unknown life", handle, of(third, placed("6", 1, 60)), es.ErrAnotherLife, 3)
	if err := box.Accept(t.Context(), "/orders", third, 50); err != nil {
		t.Fatal(err)
	}
	do("of the first, kept by both", handle, of(first, placed("7", 1, 50)), nil, 4)
	do("of the first, lost by the third", handle, of(first, placed("8", 1, 51)), nil, 4)
	do("of the second, kept", handle, of(second, placed("9", 1, 50)), nil, 5)
	do("of the second, lost", handle, of(second, placed("10", 1, 51)), nil, 5)
	do("the third", handle, of(third, placed("11", 1, 51)), nil, 6)
	do("without a life", handle, delivered("/orders", placed("12", 1, 51)), nil, 7)
	if c := stale.Counts(); c.Late != 1 || c.Reacted != 3 {
		t.Errorf("%+v", c)
	}
	if c := box.Counts(); c.Late != 3 || strings.Count(text.String(), "life that its store has left") != 3 {
		t.Errorf("%+v\n%s", c, text)
	}
	// What somebody accepted by mistake can be left again.
	if err := box.Accept(t.Context(), "/orders", second, 50); err != nil {
		t.Fatal(err)
	}
	do("the second again", handle, of(second, placed("13", 1, 200)), nil, 8)
	do("the third, left", handle, of(third, placed("14", 1, 200)), nil, 8)
	// A later loss brings nothing back that an earlier one took.
	if err := box.Accept(t.Context(), "/orders", es.NewID(), 1000); err != nil {
		t.Fatal(err)
	}
	do("of the first, lost by the third still", handle, of(first, placed("15", 1, 60)), nil, 8)
	do("of the second, kept by the last", handle, of(second, placed("16", 1, 1000)), nil, 9)
}

// A life is written with the first reaction: with one that fails, or whose process
// ends, nothing is.
func TestLife_is_met_in_the_reactions_transaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	life, another := es.NewID(), es.NewID()
	fail := errors.New("out of stock")
	err := inbox.New(w.store, "reserve").Handle(func(context.Context, es.RecordedEvent, *pgstore.Tx) error { return fail })(of(life, placed("1", 1, 1)))
	if !errors.Is(err, fail) {
		t.Error(err)
	}
	err = inbox.New(w.store, "reserve").Handle(func(ctx context.Context, _ es.RecordedEvent, tx *pgstore.Tx) error {
		_, _ = tx.Tx().Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
		return nil
	})(of(life, placed("1", 1, 1)))
	if err == nil {
		t.Error("the session was killed, and nobody noticed")
	}
	if n := w.number(`select count(*) from asof.inbox_lives`); n != 0 {
		t.Fatalf("%d lives", n)
	}
	if err := inbox.New(w.store, "reserve").Handle(reserveFor)(of(another, placed("1", 1, 1))); err != nil {
		t.Fatal(err)
	}
	if got := w.text(`select life::text from asof.inbox_lives where consumer = 'reserve' and source = '/orders' and since > clock_timestamp() - interval '1 hour'`); got != another.String() {
		t.Errorf("life %s, want %s", got, another)
	}
}

// Processes that meet two lives at once agree on one.
func TestLives_met_at_once_are_one(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lives := []uuid.UUID{es.NewID(), es.NewID()}
	var went [2]atomic.Int64
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			<-begin
			handle := inbox.New(w.store, "reserve").Handle(reserveFor)
			for n := range 5 {
				switch err := handle(of(lives[p%2], placed("1", es.Version(n+1), es.Position(n+1)))); {
				case err == nil:
					went[p%2].Add(1)
				case !errors.Is(err, es.ErrAnotherLife):
					t.Error(err)
				}
			}
		})
	}
	close(begin)
	wg.Wait()
	a, b := went[0].Load(), went[1].Load()
	if a+b != 20 || a != 0 && b != 0 {
		t.Errorf("%d reactions in one life, %d in the other", a, b)
	}
	w.want(20, 20)
}

// Reactions go on while somebody accepts, others may accept at the same time, and one
// life is left.
func TestAccept_by_many_at_once(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := es.NewID()
	box := inbox.New(w.store, "reserve")
	ctx := within(t, 60*time.Second)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if err := box.Accept(ctx, "/orders", es.NewID(), 1000); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for n := range 10 {
				if err := box.Handle(reserveFor)(of(first, placed("1", es.Version(n+1), es.Position(n+1)))); err != nil && !errors.Is(err, es.ErrAnotherLife) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := w.number(`select count(*) from asof.inbox_lives where kept is null`); n != 1 {
		t.Errorf("%d lives are the current one", n)
	}
	if c := box.Counts(); c.Late != 0 {
		t.Errorf("%+v: what was kept counts as lost", c)
	}
}

// Lives are of a source and of a consumer.
func TestLives_of_sources_and_consumers_are_apart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := es.NewID(), es.NewID()
	hostile := "\x00" + strings.Repeat("s", 5000)
	n := int64(0)
	for _, consumer := range []string{"reserve", "bill"} {
		box := inbox.New(w.store, consumer)
		for source, life := range map[string]uuid.UUID{"/orders": a, "/shop": b, hostile: a, hostile + "2": b, "": b} {
			n++
			if err := box.Handle(reserveFor)(delivered(source, placed("1", 1, 1), kafka.LifeHeader(life))); err != nil {
				t.Errorf("%s, %.10q: %v", consumer, source, err)
			}
			w.want(n, n)
		}
	}
	box := inbox.New(w.store, "reserve")
	m := delivered(hostile, placed("1", 1, 1), kafka.LifeHeader(b))
	another, ok := errors.AsType[*inbox.AnotherLifeError](box.Handle(reserveFor)(m))
	if !ok || another.Life != b {
		t.Fatalf("%v", another)
	}
	if err := box.Accept(t.Context(), another.Source, another.Life, 0); err != nil {
		t.Fatal(err)
	}
	if err := box.Handle(reserveFor)(m); err != nil {
		t.Error(err)
	}
	if err := inbox.New(w.store, "bill").Handle(reserveFor)(m); !errors.Is(err, es.ErrAnotherLife) {
		t.Errorf("another consumer: %v", err)
	}
	any := box.HandleAny(func(ctx context.Context, _ *message.Message, tx *pgstore.Tx) error { return reserve(ctx, tx) })
	if err := any(of(b, placed("1", 1, 1))); !errors.Is(err, es.ErrAnotherLife) {
		t.Errorf("messages of anybody: %v", err)
	}
}

func TestAccept_refuses_what_names_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	box := inbox.New(w.store, "reserve")
	for what, err := range map[string]error{
		"no source":         box.Accept(t.Context(), "", es.NewID(), 0),
		"no life":           box.Accept(t.Context(), "/orders", uuid.Nil, 0),
		"negative position": box.Accept(t.Context(), "/orders", es.NewID(), -1),
		"no consumer":       inbox.New(w.store, "").Accept(t.Context(), "/orders", es.NewID(), 0),
	} {
		if !errors.Is(err, es.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := w.number(`select count(*) from asof.inbox_lives`); n != 0 {
		t.Errorf("%d lives", n)
	}
}
