package reactions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/reactions"
)

func TestPoison_parks_its_sequence_and_the_rest_of_the_partition_goes_on(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := reactions.New(w.reaction())
	w.poisons("a", 2, errPoison)
	messages := []kafka.Message{
		placed("a", 1, 0), placed("a", 2, 1), placed("b", 1, 2), placed("a", 3, 3), placed("b", 2, 4),
		published(5, es.RecordedEvent{Recorded: recorded("c", 1, "order.placed", 1), Data: []byte(`{"N":"one"}`)}),
		placed("c", 2, 6), placed("b", 3, 7),
	}
	w.deliver(r, messages...)
	w.deliver(r, messages...) // they come again
	w.wantEffects("a", 1)
	w.wantEffects("b", 1, 2, 3)
	w.wantEffects("c")
	got := w.parked()
	if len(got) != 4 || got[0] != `a@1 "it is poison" tried 2 behind false` || got[1] != `a@3 "" tried 0 behind true` ||
		!strings.Contains(got[2], "c@5") || !strings.Contains(got[2], "does not decode") || !strings.Contains(got[2], "tried 1 behind false") || got[3] != `c@6 "" tried 0 behind true` {
		t.Errorf("%q", got)
	}
	if c := r.Counts(); c != (reactions.Counts{Reacted: 4, Parked: 4, Repeated: 8}) {
		t.Errorf("%+v", c)
	}
	if w.log.count("a message is parked: see dead-letters", "offset=1", "attempts=2", "it is poison") != 1 || w.log.count("parked behind another", "offset=3") != 1 {
		t.Error(w.log.text.String())
	}
	if n := w.number(`select count(*) from asof.inbox`); n != 8 {
		t.Errorf("%d messages are noted", n)
	}

	w.mend()
	if done, err := r.RetryAll(t.Context()); err != nil || done != (reactions.Retried{Reacted: 2, Parked: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantEffects("a", 1, 2, 3)
	w.deliver(r, messages...)
	w.deliver(r, placed("a", 4, 8))
	w.wantEffects("a", 1, 2, 3, 4)
	if got := w.parked(); len(got) != 2 || !strings.Contains(got[0], "tried 2") {
		t.Errorf("%q", got)
	}
}

// All that a message is comes back to the reaction, whatever it is.
func TestMessage_that_was_parked_is_whole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	var got []*message.Message
	fail := true
	c.Codec, c.React = nil, nil
	c.Any = func(_ context.Context, m *message.Message, _ *pgstore.Tx) error {
		if fail {
			m.Metadata["ce_type"], m.Payload = "changed", nil // of a copy
			return errPoison
		}
		got = append(got, m)
		return nil
	}
	r := reactions.New(c)
	messages := []kafka.Message{
		{Topic: "order", Partition: 3, Offset: 1, Key: []byte("\x00\xff"), Value: []byte("\x00\xfe"), Time: time.UnixMilli(1 << 62), Headers: []kafka.Header{{Key: "twice", Value: []byte("1")}, {Key: "twice", Value: nil}, {Key: "\xff", Value: []byte("\x00")}}},
		{Topic: "order", Partition: 3, Offset: 2, Key: []byte{}, Value: nil, Time: time.UnixMilli(-1)},
		{Topic: "order", Partition: 3, Offset: 3, Key: nil, Value: []byte{}, Time: time.UnixMilli(0)},
		{Topic: "order", Offset: 4, Key: []byte("k"), Headers: []kafka.Header{{Key: "ce_type", Value: []byte("a\x00" + strings.Repeat("b", 1000))}, {Key: "ce_source", Value: []byte("s")}, {Key: "ce_id", Value: []byte(strings.Repeat("x", 3000))}}},
	}
	w.deliver(r, messages...)
	list, err := reactions.ListParked(t.Context(), w.store)
	if err != nil || len(list) != len(messages) {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, p := range list {
		if p, err = reactions.ShowParked(t.Context(), w.store, "count", p.Number); err != nil {
			t.Fatal(err)
		}
		want := messages[i]
		if m := p.Message; m.Topic != "order" || m.Partition != want.Partition || m.Offset != want.Offset || m.Time.UnixMilli() != want.Time.UnixMilli() ||
			string(m.Key) != string(want.Key) || (m.Key == nil) != (want.Key == nil) || string(m.Value) != string(want.Value) || (m.Value == nil) != (want.Value == nil) ||
			!slices.EqualFunc(m.Headers, want.Headers, func(a, b kafka.Header) bool {
				return a.Key == b.Key && string(a.Value) == string(b.Value) && (a.Value == nil) == (b.Value == nil)
			}) {
			t.Errorf("%+v came back as %+v", want, m)
		}
	}
	fail = false
	if done, err := r.RetryAll(t.Context()); err != nil || done.Reacted != len(messages) {
		t.Fatalf("%+v, %v", done, err)
	}
	for i, m := range got {
		want := kafka.ToWatermill(&messages[i], "", [16]byte{})
		if !want.Equals(m) {
			t.Errorf("%+v came back as %+v", want, m)
		}
	}
}

func TestMessages_of_others_are_parked_without_Any_and_once_with_it(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := func(offset int64, key, source, id string) kafka.Message {
		m := kafka.Message{Topic: "order", Offset: offset, Value: []byte("hello"), Headers: []kafka.Header{
			{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_type", Value: []byte("signup")}, {Key: "ce_source", Value: []byte(source)}, {Key: "ce_id", Value: []byte(id)},
		}}
		if key != "" {
			m.Key = []byte(key)
		}
		return m
	}
	messages := []kafka.Message{
		foreign(0, "k", "crm", "1"), foreign(1, "k", "crm", "2"), foreign(2, "", "crm", "3"), foreign(3, "", "crm", "4"), placed("a", 1, 4),
		foreign(5, "k", "crm", "1"), // again
		// As one text source and id would be those of the first.
		foreign(6, "l", "c", "rm1"), foreign(7, "m", "crm:1", ""),
		{Topic: "order", Offset: 8, Value: []byte("nothing")}, {Topic: "order", Offset: 9, Value: []byte("nothing")},
		with(placed("a", 2, 10), "ce_version", "many"), placed("a", 3, 11),
	}
	plain := reactions.New(w.reaction())
	w.deliver(plain, messages...)
	w.wantEffects("a", 1)
	list, err := reactions.ListParked(t.Context(), w.store)
	if err != nil || len(list) != 10 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, p := range list {
		switch p.Message.Offset {
		case 1, 11:
			if p.Error != "" || p.Behind == 0 {
				t.Errorf("%+v", p)
			}
		case 10:
			if !strings.Contains(p.Error, "broken event") || p.Attempts != 1 || p.Stream.ID != "a" {
				t.Errorf("%+v", p)
			}
		default:
			if !strings.Contains(p.Error, "Reaction.Any") || p.Attempts != 1 || p.Behind != 0 || p.Stream != (es.StreamID{}) {
				t.Errorf("%+v", p)
			}
		}
	}

	c := w.reaction()
	var had []string
	c.Any = func(ctx context.Context, m *message.Message, tx *pgstore.Tx) error {
		had = append(had, m.Metadata["ce_source"]+"/"+m.Metadata["ce_id"]+"@"+m.Metadata[kafka.MetadataOffset])
		return nil
	}
	r := reactions.New(c)
	if done, err := r.RetryKey(t.Context(), "k"); err != nil || done != (reactions.Retried{Reacted: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := r.RetryKey(t.Context(), "k"); !errors.Is(err, reactions.ErrNotParked) {
		t.Error(err)
	}
	if done, err := r.RetryAll(t.Context()); err != nil || done != (reactions.Retried{Reacted: 6, Parked: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	if want := []string{"crm/1@0", "crm/2@1", "crm/3@2", "crm/4@3", "c/rm1@6", "crm:1/@7", "/@8", "/@9"}; !slices.Equal(had, want) {
		t.Errorf("Any had %v, want %v", had, want)
	}
	w.deliver(r, messages...)
	w.deliver(r, foreign(12, "k", "crm", "5"))
	if len(had) != 9 {
		t.Errorf("Any had %v", had)
	}
	w.wantEffects("a", 1)
}

func TestEvents_of_types_that_the_codec_does_not_know_are_skipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := reactions.New(w.reaction())
	for i := range 3 {
		w.deliver(r, published(int64(2*i), es.RecordedEvent{Recorded: recorded("a", i, "order.paid", 1), Data: []byte(`{}`)}),
			published(int64(2*i+1), es.RecordedEvent{Recorded: recorded("a", i, "order.cancelled", 9), Data: []byte(`{}`)}))
	}
	if c := r.Counts(); c != (reactions.Counts{Skipped: 6}) || w.log.count("are skipped", "order.paid") != 1 || w.log.count("are skipped", "order.cancelled") != 1 {
		t.Errorf("%+v\n%s", c, w.log.text.String())
	}
	if n := w.number(`select count(*) from asof.inbox`); n != 0 {
		t.Errorf("%d are noted", n)
	}
}

// What waits for another program, or for who does not answer, holds its partition up,
// says so, and parks nothing.
func TestWaiting_is_seen_and_parks_nothing(t *testing.T) {
	t.Parallel()
	for name, unavailable := range map[string]bool{"a newer schema": false, "who does not answer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := published(7, es.RecordedEvent{Recorded: recorded("a", 1, "order.shipped", 3), Data: []byte(`{}`)})
			text := "deploy a program that reads it"
			if unavailable {
				m, text = placed("a", 1, 7), "the keys are locked up"
				w.poisons("a", 1, fmt.Errorf("%w: %s", es.ErrUnavailable, text))
			}
			r := reactions.New(w.reaction())
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Deliver(ctx, m) }()
			var status reactions.Status
			until(t, "it waits", func() bool {
				var err error
				if status, err = r.Status(ctx); err != nil {
					t.Fatal(err)
				}
				return len(status.Waits) > 0
			})
			if wait := status.Waits[0]; wait.Topic != "order" || wait.Offset != 7 || !strings.Contains(wait.Error, text) || wait.Stopped || wait.Since.IsZero() || status.Parked != 0 || status.Lag != -1 {
				t.Errorf("%+v", status)
			}
			if c := r.Counts(); c != (reactions.Counts{Waiting: 1}) || w.log.count("the reaction waits", text) != 1 {
				t.Errorf("%+v\n%s", c, w.log.text.String())
			}
			if unavailable {
				w.mend()
			} else {
				cancel()
			}
			if err := <-ended; (err == nil) != unavailable {
				t.Error(err)
			}
			w.wantParked()
			status, err := r.Status(t.Context())
			if err != nil || r.Counts().Waiting != 0 || unavailable && len(status.Waits) != 0 {
				t.Errorf("%+v, %v", status, err)
			}
			if unavailable {
				w.wantEffects("a", 1)
			}
			cancel()
		})
	}
	t.Run("behind what is parked nothing waits", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		r := reactions.New(w.reaction())
		w.poisons("a", 1, errPoison)
		w.deliver(r, placed("a", 1, 1), published(2, es.RecordedEvent{Recorded: recorded("a", 2, "order.shipped", 3), Data: []byte(`{}`)}))
		w.mend()
		if done, err := r.RetryStream(t.Context(), es.StreamID{Category: "order", ID: "a"}); err != nil || done != (reactions.Retried{Reacted: 1, Parked: 1}) {
			t.Errorf("%+v, %v", done, err)
		}
	})
}

// An outage is no fault of a message.
func TestOutage_parks_nothing(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(ctx context.Context, tx *pgstore.Tx) error{
		"the session is ended": func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
			return fmt.Errorf("hidden: %v", err) //nolint:errorlint // as a careless reaction has it
		},
		"the session is ended and nobody minds": func(ctx context.Context, tx *pgstore.Tx) error {
			_, _ = tx.Tx().Exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
			return nil
		},
		"a deadlock": func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, `do $$ begin raise exception using errcode = '40P01'; end $$`)
			return err
		},
		"a serialization failure": func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, `do $$ begin raise exception using errcode = '40001'; end $$`)
			return err
		},
		"no room on the disk": func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, `do $$ begin raise exception using errcode = '53100'; end $$`)
			return err
		},
		"a timeout of the connection": func(ctx context.Context, tx *pgstore.Tx) error {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			_, err := tx.Tx().Exec(ctx, `select pg_sleep(10)`)
			return err
		},
		"an append that must be tried again":       func(context.Context, *pgstore.Tx) error { return fmt.Errorf("append: %w", es.ErrRetry) },
		"a password that is refused":               refusedBy("28P01"),
		"a login that is refused":                  refusedBy("28000"),
		"a database that is not there, or not yet": refusedBy("3D000"),
		"a database that is read only":             refusedBy("25006"),
		"another database that is not reached": func(ctx context.Context, _ *pgstore.Tx) error {
			_, err := pgconn.Connect(ctx, "postgres://127.0.0.1:1/nowhere?sslmode=disable")
			return err
		},
		"another database that refuses the login": func(ctx context.Context, tx *pgstore.Tx) error {
			c := tx.Tx().Conn().Config().Copy()
			c.Database = "nowhere"
			_, err := pgx.ConnectConfig(ctx, c)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.reaction()
			c.Tries = 1
			calls := 0
			c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
				if calls++; calls <= 8 { // more than the races of a transaction, and than Tries
					return fail(ctx, tx)
				}
				return w.react(ctx, e, r, tx)
			}
			w.deliver(reactions.New(c), placed("a", 1, 1))
			w.wantParked()
			w.wantEffects("a", 1)
			if w.log.count("the reaction waits") == 0 || w.log.count("the reaction goes on") != 1 {
				t.Error(w.log.text.String())
			}
		})
	}
}

// refusedBy is an error of the server's own code.
func refusedBy(code string) func(ctx context.Context, tx *pgstore.Tx) error {
	return func(ctx context.Context, tx *pgstore.Tx) error {
		_, err := tx.Tx().Exec(ctx, `do $$ begin raise exception using errcode = '`+code+`'; end $$`)
		return err
	}
}

// What the database says to what is not React's is never held against the message: it was
// not tried.
func TestError_before_the_reaction_parks_nothing(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"28P01", "28000", "3D000", "25006", "22012", "23514", "P0001"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.exec(`create sequence public.notes`)
			w.exec(`create function public.refuse() returns trigger language plpgsql as $$ begin
				if nextval('public.notes') <= 4 then raise exception using errcode = '` + code + `'; end if;
				return new; end $$`)
			w.exec(`create trigger refuse before insert on asof.inbox for each row execute function public.refuse()`)
			c := w.reaction()
			c.Tries = 1
			w.deliver(reactions.New(c), placed("a", 1, 1))
			w.wantParked()
			w.wantEffects("a", 1)
			if w.log.count("the reaction waits") == 0 || w.log.count("the reaction goes on") != 1 {
				t.Error(w.log.text.String())
			}
		})
	}
}

// What is parked is what has come, whatever a reaction does with the bytes that it is given.
func TestPayload_of_a_handler_is_its_own(t *testing.T) {
	t.Parallel()
	spoil := func(data []byte) error {
		for i := range data {
			data[i] = 'x'
		}
		return errPoison
	}
	for name, change := range map[string]func(c *reactions.Reaction[Event]){
		"Any": func(c *reactions.Reaction[Event]) {
			c.Codec, c.React = nil, nil
			c.Any = func(_ context.Context, m *message.Message, _ *pgstore.Tx) error { return spoil(m.Payload) }
		},
		"a codec": func(c *reactions.Reaction[Event]) { c.Codec = spoiling{c.Codec, spoil} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.reaction()
			change(&c)
			w.deliver(reactions.New(c), placed("a", 1, 1))
			p, err := reactions.ShowParked(t.Context(), w.store, "count", w.numberOf(1))
			if err != nil || string(p.Message.Value) != `{"N":1}` {
				t.Errorf("%q, %v", p.Message.Value, err)
			}
		})
	}
}

// A codec that asks a database which is away has not found the payload broken.
func TestOutage_while_a_message_is_read_parks_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	calls := 0
	c.Codec = spoiling{c.Codec, func([]byte) error {
		if calls++; calls > 2 {
			return errPoison
		}
		return fmt.Errorf("%w: %w", es.ErrUndecodable, &pgconn.PgError{Code: "57P01"})
	}}
	w.deliver(reactions.New(c), placed("a", 1, 1))
	w.wantParked(`a@1 "it is poison" tried 2 behind false`)
}

// spoiling is a codec that writes on what it reads.
type spoiling struct {
	es.Codec[Event]
	spoil func([]byte) error
}

func (s spoiling) Decode(_ context.Context, into []Event, r es.RecordedEvent) ([]Event, error) {
	return into, s.spoil(r.Data)
}

// What React does wrong is held against the message, also when only the commit shows it.
func TestError_of_the_reaction_parks_after_its_tries(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(ctx context.Context, tx *pgstore.Tx) error{
		"an error":            func(context.Context, *pgstore.Tx) error { return errPoison },
		"a panic":             func(context.Context, *pgstore.Tx) error { panic(errPoison) },
		"a conflict for ever": func(context.Context, *pgstore.Tx) error { return fmt.Errorf("%w: it is poison", es.ErrConflict) },
		"a timeout of its own": func(context.Context, *pgstore.Tx) error {
			return fmt.Errorf("it is poison: %w", context.DeadlineExceeded)
		},
		"what the database refuses": func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, `do $$ begin raise exception 'it is poison'; end $$`)
			return err
		},
		"what is refused and kept silent": func(ctx context.Context, tx *pgstore.Tx) error {
			_, _ = tx.Tx().Exec(ctx, `do $$ begin raise exception 'it is poison'; end $$`)
			return nil
		},
		"a message to Kafka that cannot be":    func(context.Context, *pgstore.Tx) error { return fmt.Errorf("it is poison: %w", kafka.ErrInvalid) },
		"a statement that breaks the protocol": refusedBy("08P01"),
		"what is refused and met again": func(ctx context.Context, tx *pgstore.Tx) error {
			_, _ = tx.Tx().Exec(ctx, `do $$ begin raise exception 'it is poison'; end $$`)
			_, err := tx.Tx().Exec(ctx, `select 1`)
			return err
		},
		"what the commit refuses": func(ctx context.Context, tx *pgstore.Tx) error {
			_, err := tx.Tx().Exec(ctx, `insert into public.once values (1), (1)`)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.exec(`create table public.once (n int unique deferrable initially deferred)`)
			c := w.reaction()
			c.Tries = 3
			c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
				return errors.Join(w.react(ctx, e, r, tx), fail(ctx, tx))
			}
			w.deliver(reactions.New(c), placed("a", 1, 1))
			w.wantEffects("a")
			if got := w.parked(); len(got) != 1 || !strings.Contains(got[0], "tried 3") {
				t.Errorf("%q", got)
			}
		})
	}
}

// One of several who decide on the same is not wrong.
func TestConflict_that_passes_is_no_failure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	c.Tries = 1
	conflicts := 3
	c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
		if conflicts--; conflicts >= 0 {
			return fmt.Errorf("decide: %w", es.ErrConflict)
		}
		return w.react(ctx, e, r, tx)
	}
	w.deliver(reactions.New(c), placed("a", 1, 1))
	w.wantParked()
	w.wantEffects("a", 1)
}

func TestReaction_with_more_than_may_be_parked_ends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	c.MostParked = 2
	r := reactions.New(c)
	for i := range 3 {
		w.poisons("a", i+1, errPoison)
		w.poisons("b", i+1, errPoison)
	}
	w.deliver(r, placed("a", 1, 1), placed("b", 1, 2))
	for m, text := range map[*kafka.Message]string{new(placed("a", 2, 3)): "waits behind", new(placed("c", 1, 3)): ""} {
		err := r.Deliver(t.Context(), *m)
		too, ok := errors.AsType[*reactions.TooManyParkedError](err)
		if text == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if !ok || !errors.Is(err, reactions.ErrTooManyParked) || too.Most != 2 || too.Offset != 3 || !strings.Contains(err.Error(), "MostParked") || !strings.Contains(err.Error(), text) {
			t.Errorf("%v", err)
		}
	}
	w.poisons("d", 1, errPoison)
	if err := r.Deliver(t.Context(), placed("d", 1, 4)); !errors.Is(err, reactions.ErrTooManyParked) || !strings.Contains(err.Error(), "it is poison") || strings.Count(err.Error(), "reactions: ") != 1 {
		t.Error(err)
	}
	if n := w.number(`select count(*) from asof.inbox`); n != 3 {
		t.Errorf("%d are noted", n)
	}
	status, err := r.Status(t.Context())
	if err != nil || status.Parked != 2 || len(status.Waits) != 1 || !status.Waits[0].Stopped || status.Oldest.IsZero() {
		t.Errorf("%+v, %v", status, err)
	}
	w.mend()
	if done, err := r.RetryAll(t.Context()); err != nil || done.Reacted != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	w.deliver(r, placed("a", 2, 3), placed("d", 1, 4))
	w.wantEffects("a", 1, 2)
}

// Whoever accepts another life decides about what is parked of the former one, too.
func TestMessage_of_a_former_life_is_not_reacted_to_when_it_is_retried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := reactions.New(w.reaction())
	old, next := es.NewID(), es.NewID()
	for n, stream := range []string{"kept", "lost"} {
		w.poisons(stream, n+1, errPoison) // the position, too
		w.deliver(r, placed(stream, n+1, int64(n), kafka.LifeHeader(old)))
	}
	refused := r.Deliver(t.Context(), placed("new", 2, 3, kafka.LifeHeader(next)))
	if !errors.Is(refused, es.ErrAnotherLife) || !strings.Contains(refused.Error(), "count") {
		t.Fatal(refused)
	}
	w.mend()
	w.exec(`update asof.inbox_lives set kept = 1 where life = $1`, old)
	w.exec(`insert into asof.inbox_lives (consumer, source, life) values ('count', '/orders', $1)`, next)
	if done, err := r.RetryAll(t.Context()); err != nil || done != (reactions.Retried{Reacted: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantEffects("kept", 1)
	w.wantEffects("lost")
	w.wantParked()
	if c := r.Counts(); c.Late != 1 {
		t.Errorf("%+v", c)
	}
}

// An event that the codec splits is reacted to whole or not at all.
func TestParts_of_an_event_are_one_transaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	c.Codec = es.Upcast(codec, es.SplitJSON("order.shipped", 1, func(old Shipped) (list []es.Event, err error) {
		for n := range old.Parcels {
			list = append(list, Placed{N: n + 1})
		}
		return list, nil
	}))
	parts := ""
	c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
		parts += fmt.Sprintf("%d/%d ", r.Part, r.Parts)
		return w.react(ctx, e, r, tx)
	}
	w.poisons("a", 3, errPoison)
	r := reactions.New(c)
	shipped := func(n, parcels int) kafka.Message {
		return published(int64(n), es.RecordedEvent{Recorded: recorded("a", n, "order.shipped", 1), Data: fmt.Appendf(nil, `{"Parcels":%d}`, parcels)})
	}
	w.deliver(r, shipped(1, 0), shipped(2, 2), shipped(3, 3))
	w.wantEffects("a", 1, 2)
	w.mend()
	if _, err := r.RetryAll(t.Context()); err != nil || parts != "1/2 2/2 1/3 2/3 3/3 1/3 2/3 3/3 1/3 2/3 3/3 " {
		t.Error(parts, err)
	}
	w.wantEffects("a", 1, 2, 1, 2, 3)
}

// asking is a codec that asks for the contract of each event.
type asking struct{ es.Codec[Event] }

func (c asking) Decode(ctx context.Context, into []Event, recorded es.RecordedEvent) ([]Event, error) {
	if _, err := es.ContractOf(ctx, "JSON", "one"); err != nil {
		return into, err
	}
	return c.Codec.Decode(ctx, into, recorded)
}

type registry struct{}

func (registry) Contract(context.Context, string, string) (es.Contract, error) {
	return es.Contract{}, nil
}

func TestCodec_finds_contracts_where_it_is_told(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	c.Codec = asking{codec}
	w.deliver(reactions.New(c), placed("none", 1, 1))
	if err := reactions.New(c).Deliver(es.WithContracts(t.Context(), registry{}), placed("of the call", 1, 2)); err != nil {
		t.Fatal(err)
	}
	c.Contracts = registry{}
	w.deliver(reactions.New(c), placed("of the reaction", 1, 3))
	w.wantEffects("none")
	w.wantEffects("of the call", 1)
	w.wantEffects("of the reaction", 1)
	if got := w.parked(); len(got) != 1 || !strings.Contains(got[0], "unknown contract") {
		t.Errorf("%q", got)
	}
}

// What follows from an event names it, also when it follows late.
func TestAppends_name_their_cause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.reaction()
	c.React = func(ctx context.Context, e Event, r es.Recorded, tx *pgstore.Tx) error {
		_, err := tx.Append(ctx, es.StreamID{Category: "stock", ID: "1"}, es.Any, es.EventData{ID: es.NewID(), Type: "stock.reserved", Data: []byte(`{}`), Metadata: es.MetadataFrom(ctx)})
		return errors.Join(err, w.fails(r.Stream.ID, 1))
	}
	r := reactions.New(c)
	e := es.RecordedEvent{Recorded: recorded("a", 1, "order.placed", 1), Data: []byte(`{}`)}
	e.Metadata.CorrelationID = "request-7"
	w.poisons("a", 1, errPoison)
	w.deliver(r, published(1, e))
	w.mend()
	if _, err := r.RetryAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	log, err := w.store.Read(t.Context(), 0, 10)
	if err != nil || len(log) != 1 || log[0].Metadata.CorrelationID != "request-7" || log[0].Metadata.CausationID != e.ID.String() {
		t.Errorf("%+v, %v", log, err)
	}
}

func TestReaction_that_cannot_be_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for text, change := range map[string]func(c *reactions.Reaction[Event]){
		"give a name":                 func(c *reactions.Reaction[Event]) { c.Name = "" },
		"bytes of UTF-8":              func(c *reactions.Reaction[Event]) { c.Name = "\xff" },
		"no Store":                    func(c *reactions.Reaction[Event]) { c.Store = nil },
		"name the Topics":             func(c *reactions.Reaction[Event]) { c.Topics = nil },
		"named twice":                 func(c *reactions.Reaction[Event]) { c.Topics = []string{"a", "a"} },
		`topic "a b"`:                 func(c *reactions.Reaction[Event]) { c.Topics = []string{"a b"} },
		"one of Codec and React":      func(c *reactions.Reaction[Event]) { c.Codec = nil },
		"it does nothing":             func(c *reactions.Reaction[Event]) { c.Codec, c.React = nil, nil },
		"are not negative":            func(c *reactions.Reaction[Event]) { c.Tries = -1 },
		"kafka.First or kafka.Last":   func(c *reactions.Reaction[Event]) { c.From = 7 },
		"it has no Kafka, or no name": nil,
	} {
		c := w.reaction()
		if change == nil {
			if err := reactions.Run(t.Context(), c); !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), "no Kafka") {
				t.Error(err)
			}
			continue
		}
		change(&c)
		r := reactions.New(c)
		_, all := r.RetryAll(t.Context())
		_, one := r.RetryMessage(t.Context(), 1)
		_, skip := r.Skip(t.Context(), 1, "no")
		_, status := r.Status(t.Context())
		for what, err := range map[string]error{"Run": r.Run(t.Context()), "Deliver": r.Deliver(t.Context(), placed("a", 1, 1)), "RetryAll": all, "RetryMessage": one, "Skip": skip, "Status": status} {
			if !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), text) || !strings.HasPrefix(err.Error(), "reactions: ") {
				t.Errorf("%s, %s: %v", text, what, err)
			}
		}
	}
}

// Through poolers that know no prepared statements.
func TestReactions_in_every_mode_of_the_driver(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			address := embeddedtest.Database(t)
			pgstoretest.Open(t, address)
			w := on(t, pgstoretest.Open(t, address, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode })))
			c := w.reaction()
			c.MostParked = 3
			r := reactions.New(c)
			w.poisons("a", 1, errPoison)
			w.poisons("b", 1, errPoison)
			w.deliver(r, placed("a", 1, 1), placed("a", 2, 2), kafka.Message{Topic: "order", Offset: 3, Key: []byte{0}, Value: []byte{}, Headers: []kafka.Header{{Key: "\xff"}}})
			if err := r.Deliver(t.Context(), placed("b", 1, 4)); !errors.Is(err, reactions.ErrTooManyParked) {
				t.Error(err)
			}
			list, err := reactions.ListParked(t.Context(), w.store, "count")
			if err != nil || len(list) != 3 || list[1].Behind != list[0].Number || list[2].Message.Key == nil {
				t.Fatalf("%+v, %v", list, err)
			}
			if done, err := r.RetryStream(t.Context(), list[0].Stream); err != nil || done.Parked != 2 {
				t.Errorf("%+v, %v", done, err)
			}
			w.mend()
			if done, err := r.Skip(t.Context(), list[0].Number, "no"); err != nil || done.Reacted != 1 {
				t.Errorf("%+v, %v", done, err)
			}
			if _, err := r.RetryKey(t.Context(), "\x00"); err != nil {
				t.Error(err)
			}
			if skipped, err := reactions.ListSkipped(t.Context(), w.store, "count"); err != nil || len(skipped) != 1 {
				t.Errorf("%+v, %v", skipped, err)
			}
			if status, err := r.Status(t.Context()); err != nil || status.Parked != 1 || len(status.Waits) != 1 {
				t.Errorf("%+v, %v", status, err)
			}
		})
	}
}
