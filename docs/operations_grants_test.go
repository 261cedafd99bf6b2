package docs_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/mapping"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections"
)

// role makes a role with some rights, and returns the store as it sees it.
func (w *walk) role(address, name string, grants ...string) *pgstore.Store {
	w.Helper()
	w.exec(address, `create role `+name+` login password 'x'`, `grant usage on schema asof to `+name, `grant select on all tables in schema asof to `+name)
	for _, grant := range grants {
		w.exec(address, `grant `+grant+` to `+name)
	}
	config, err := pg.ParsePool(address)
	w.must(err)
	config.ConnConfig.User, config.ConnConfig.Password = name, "x"
	pool, err := pgxpool.NewWithConfig(w.ctx, config)
	w.must(err)
	w.Cleanup(pool.Close)
	return pgstore.New(pool)
}

// Each kind of process runs with the rights that operating.md lists, and no others.
func TestRights_that_are_listed_are_enough(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]embeddedtest.ServerOption{"on_18": nil, "on_15": {embeddedtest.Major(15)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rightsAreEnough(t, embeddedtest.Server(t, options...).URL())
		})
	}
}

func rightsAreEnough(t *testing.T, address string) {
	w := newWalk(t)
	pgstoretest.Open(t, address)
	moments := []string{`usage, update on sequence asof.settled_moment`, `update on asof.settled_head`}

	appender := w.role(address, "appender", `insert on asof.events, asof.categories, asof.contracts`, `usage on sequence asof.events_position, asof.settled_moment`,
		`select, insert, update, delete on asof.inbox, asof.inbox_lives`)
	rightsOfReactions(w, w.role(address, "reactor", `select, insert, update, delete on asof.inbox, asof.inbox_lives, asof.parked_messages, asof.parked_numbers, asof.skipped_messages, asof.reaction_waits`), w.role(address, "spectator"))
	event := es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}
	recorded, err := appender.Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.NoStream, event)
	w.must(err)
	w.must(pgx.BeginFunc(w.ctx, appender.Pool(), func(tx pgx.Tx) error {
		_, err := appender.InTx(tx).Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.Any, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)})
		return err
	}))
	if _, err := inbox.New(appender, "react").Once(w.ctx, "1", func(context.Context, *pgstore.Tx) error { return nil }); err != nil {
		t.Errorf("inbox: %v", err)
	}
	if _, err := appender.Settle(w.ctx, recorded[0].RecordedAt); !errors.Is(err, es.ErrNotSettled) {
		t.Errorf("an appender that may not make moments final: %v", err)
	}

	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	relay := w.role(address, "relayer", append([]string{`update on asof.relay`, `insert on asof.relay_topics`, `insert, update, delete on asof.held`, `insert, delete on asof.relay_mappings`}, moments...)...)
	var mended atomic.Bool
	public := mapping.Of(mapping.Config[Noted, Noted]{
		Name: "public", Category: "note", Codec: es.JSON(Noted{}), Public: es.JSON(Noted{}),
		Map: func(_ context.Context, e Noted, _ es.Recorded) ([]Noted, error) {
			if !mended.Load() {
				return nil, errors.New("not yet")
			}
			return []Noted{e}, nil
		},
	})
	w.run("relay", func(ctx context.Context) error {
		return outbox.New(relay, w.client, "/rights", outbox.WithTopicPrefix(w.prefix), outbox.WithLogger(logger), outbox.WithMappings(public), outbox.WithHeldRetry(20*time.Millisecond)).Run(ctx)
	}, func() bool {
		status, err := outbox.ReadStatus(w.ctx, relay)
		mended.Store(mended.Load() || err == nil && status.Held == 1)
		return err == nil && status.Position >= recorded[0].Position+1 && mended.Load() && status.Held == 0
	})

	projecting := w.role(address, "projector", append([]string{
		`create on database postgres`, `all on asof.builds, asof.lanes, asof.sums, asof.dedup, asof.offsets, asof.parked, asof.skips, asof.paused, asof.lives, asof.gaps`, `usage on all sequences in schema asof`}, moments...)...)
	projector := projections.New(projecting, counts(), projections.WithLogger(logger))
	w.run("projector", projector.Run, func() bool {
		status, err := projector.Status(w.ctx)
		return err == nil && status.Position >= recorded[0].Position+1
	})
	looking := w.role(address, "looking")
	if builds, err := projections.Builds(w.ctx, looking); err != nil || len(builds) != 1 || !builds[0].Tables[0].Estimated {
		t.Errorf("builds: %v, %v", builds, err)
	}
	if list, err := projections.New(looking, counts()).Verify(w.ctx); err != nil || len(list) != 1 || len(list[0].Differences()) != 0 {
		t.Errorf("verify: %v, %v", list, err)
	}
	w.exec(address, `grant usage on schema counts to looking`, `grant select on counts.counts to looking`)
	if builds, err := projections.Builds(w.ctx, looking); err != nil || builds[0].Tables[0].Rows != 1 || builds[0].Tables[0].Estimated {
		t.Errorf("builds with their rows: %v, %v", builds, err)
	}
	rightsOfDeadLetters(w, looking, projecting, w.role(address, "historian", `create on database postgres`))
	if _, err := projections.DropProjection(w.ctx, looking, projector.Name()); !pg.MayNotWrite(err) || !strings.Contains(err.Error(), "docs/operating.md") {
		t.Errorf("drop by a role that may only read: %v", err)
	}
	if _, err := projections.DropProjection(w.ctx, projecting, projector.Name()); err != nil {
		t.Errorf("drop: %v", err)
	}
	w.until("the moment is final", func() bool {
		_, err := relay.Settle(w.ctx, recorded[0].RecordedAt)
		return err == nil
	})

	// Who may set the sequence and not see it would set it back.
	blind := w.role(address, "blind", `update on sequence asof.settled_moment`, `insert on asof.events, asof.categories, asof.contracts`, `usage on sequence asof.events_position`)
	if _, err := blind.Append(w.ctx, es.StreamID{Category: "note", ID: "3"}, es.NoStream, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}); err == nil || !strings.Contains(err.Error(), "grant usage on sequence asof.settled_moment") {
		t.Errorf("an append that does not see the settled moment: %v", err)
	}
	w.exec(address, `select setval('asof.settled_moment', (extract(epoch from clock_timestamp() + interval '1 hour') * 1000000)::bigint)`)
	if _, err := blind.Settle(w.ctx, time.Now()); !errors.Is(err, es.ErrNotSettled) {
		t.Errorf("a moment made final blindly: %v", err)
	}
	if ahead := w.ask(address, `select (last_value > (extract(epoch from clock_timestamp()) * 1000000)::bigint)::text from asof.settled_moment`); ahead != "true" {
		t.Error("the settled moment was set back")
	}

	reader := w.role(address, "reader")
	if events, err := reader.Read(w.ctx, 0, 10); err != nil || len(events) != 2 {
		t.Errorf("reader: %d events, %v", len(events), err)
	}
	if _, err := reader.Settle(w.ctx, recorded[0].RecordedAt); err != nil {
		t.Errorf("reader, of a moment that is final: %v", err)
	}
	_, err = reader.Append(w.ctx, es.StreamID{Category: "note", ID: "2"}, es.NoStream, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)})
	if err == nil || !strings.Contains(err.Error(), "grant usage on sequence") {
		t.Errorf("an append of the reader: %v", err)
	}
}

// rightsOfReactions has two messages parked: who may only read lists them, who reacts
// retries one and skips the other.
func rightsOfReactions(w *walk, reacting, looking *pgstore.Store) {
	w.Helper()
	mended := false
	of := func(store *pgstore.Store) *reactions.Reactor {
		return reactions.New(reactions.Reaction[es.Event]{
			Name: "answer", Store: store, Topics: []string{"note"}, Codec: es.JSON[es.Event](Noted{}), Tries: 1, MostParked: 2,
			React: func(context.Context, es.Event, es.Recorded, *pgstore.Tx) error {
				if mended {
					return nil
				}
				return errors.New("not yet")
			},
		})
	}
	r := of(reacting)
	for i := range 3 {
		e := es.RecordedEvent{Data: []byte(`{}`)}
		e.ID, e.Type, e.Stream, e.Version = es.NewID(), "note.noted", es.StreamID{Category: "note", ID: "1"}, es.Version(i+1)
		if err := r.Deliver(w.ctx, kafka.FromEvent("/rights", "note", e)); err != nil && !errors.Is(err, reactions.ErrTooManyParked) {
			w.Fatal(err)
		}
	}
	list, err := reactions.ListParked(w.ctx, looking)
	if err != nil || len(list) != 2 {
		w.Fatalf("list: %+v, %v", list, err)
	}
	if _, err := reactions.ShowParked(w.ctx, looking, "answer", list[0].Number); err != nil {
		w.Errorf("show: %v", err)
	}
	if status, err := of(looking).Status(w.ctx); err != nil || status.Parked != 2 || len(status.Waits) != 1 {
		w.Errorf("status: %+v, %v", status, err)
	}
	_, retry := of(looking).RetryAll(w.ctx)
	_, skip := of(looking).Skip(w.ctx, list[0].Number, "no")
	for what, err := range map[string]error{"a retry": retry, "a skip": skip} {
		if !pg.MayNotWrite(err) || !strings.Contains(err.Error(), "docs/operating.md") {
			w.Errorf("%s by a role that may only read: %v", what, err)
		}
	}
	if done, err := r.Skip(w.ctx, list[0].Number, "tried"); err != nil || done.Parked != 1 {
		w.Errorf("skip: %+v, %v", done, err)
	}
	mended = true
	if done, err := r.RetryAll(w.ctx); err != nil || done.Reacted != 1 {
		w.Errorf("retry: %+v, %v", done, err)
	}
}

// rightsOfDeadLetters has two events parked: who may only read lists them, who keeps the
// read model retries one and skips the other, and who may make tables reads it as of a
// moment, without what is skipped.
func rightsOfDeadLetters(w *walk, looking, projecting, historian *pgstore.Store) {
	w.Helper()
	var mended bool
	def := counts()
	def.Name, def.Order, def.Apply = "picky", projections.OneStream, nil
	def.TryApply = func(c *Count, _ Noted, _ es.Recorded) error {
		if c.Events++; !mended {
			return errors.New("not yet")
		}
		return nil
	}
	p := projections.New(projecting, def)
	w.must(p.Rebuild(w.ctx))
	list, err := projections.ListParked(w.ctx, looking, "picky")
	if err != nil || len(list) != 2 {
		w.Fatalf("list: %+v, %v", list, err)
	}
	if shown, err := projections.ShowParked(w.ctx, looking, "picky", list[0].Event.ID); err != nil || len(shown) != 1 {
		w.Errorf("show: %+v, %v", shown, err)
	}
	denied := projections.New(looking, def)
	_, retry := denied.RetryAll(w.ctx)
	_, skip := denied.Skip(w.ctx, list[0].Event.ID, "no")
	for what, err := range map[string]error{"a retry": retry, "a skip": skip} {
		if !pg.MayNotWrite(err) || !strings.Contains(err.Error(), "docs/operating.md") {
			w.Errorf("%s by a role that may only read: %v", what, err)
		}
	}
	if done, err := p.Skip(w.ctx, list[0].Event.ID, "tried"); err != nil || done.Parked != 1 {
		w.Errorf("skip: %+v, %v", done, err)
	}
	mended = true
	if done, err := p.RetryAll(w.ctx); err != nil || done.Applied != 1 {
		w.Errorf("retry: %+v, %v", done, err)
	}
	if skipped, err := projections.ListSkipped(w.ctx, looking); err != nil || len(skipped) != 1 {
		w.Errorf("list: %+v, %v", skipped, err)
	}
	var events int64
	past := projections.New(historian, def)
	err = past.AsOf(w.ctx, es.AtPosition(list[1].Event.Position), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select events from counts`).Scan(&events)
	})
	if err != nil || events != 1 {
		w.Errorf("as of a moment: %d events, %v", events, err)
	}
}

// run runs a process until a condition holds.
func (w *walk) run(what string, run func(context.Context) error, holds func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	for !holds() {
		select {
		case err := <-done:
			w.Fatalf("%s ended with %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	w.must(<-done)
}
