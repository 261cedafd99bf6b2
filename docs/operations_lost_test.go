package docs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/reactions"
)

// What the primary had acknowledged and the standby did not have is gone.
func TestOperating_an_asynchronous_standby_is_promoted(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 5)
	standby := server.Standby("s1")
	p.append("1", 5)
	p.right(10)
	server.AwaitStandby("s1")
	address := server.URL()
	standby.Stop() // it hangs, while the primary goes on
	p.append("lost", 5)
	p.right(15)
	server.Kill()
	standby.TakeAddress(server)
	late := pgstoretest.Open(w, address) // before the promotion: nothing is final on a standby
	if _, err := late.Read(w.ctx, 0, 10); err == nil || !strings.Contains(err.Error(), "this server is a standby") {
		t.Errorf("a reader of the standby: %v", err)
	}
	standby.Promote()
	p.refused("") // by the timeline, or as it has read what is gone
	w.repair(address, outbox.EventsLost())
	again := w.start(address)
	again.append("1", 3)
	again.right(13)
}

// An append was open when the backup was made: the backup has what came after it, and
// not the event itself, which was acknowledged and read later.
func TestOperating_a_backup_that_lacks_an_event_in_the_middle(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 5)
	tx, err := p.store.Pool().Begin(w.ctx)
	w.must(err)
	_, err = p.store.InTx(tx).Append(w.ctx, es.StreamID{Category: "note", ID: "lost"}, es.NoStream, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)})
	w.must(err)
	p.append("1", 5)
	backup := server.Backup()
	w.must(tx.Commit(w.ctx))
	p.right(11)
	server.Restore(backup)
	p.append("1", 1)
	p.refused("which was read before, is not in the log any more")
	w.repair(server.URL(), outbox.EventsLost())
	again := w.start(server.URL())
	again.append("lost", 3)
	again.right(14)
}

// reacting is a process that notes every event of a topic in a store, once.
func (w *walk) reacting(store *pgstore.Store, name string) (stop func()) {
	w.Helper()
	codec := es.JSON[es.Event](Noted{})
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- reactions.Run(ctx, reactions.Reaction[es.Event]{
			Name: name, Store: store, Kafka: w.client, TopicPrefix: w.prefix, Topics: []string{"note"}, Codec: codec,
			React: func(ctx context.Context, _ es.Event, r es.Recorded, tx *pgstore.Tx) error {
				data, err := codec.Encode(ctx, es.StreamID{}, Noted{int(r.Position)})
				if err == nil {
					_, err = tx.Append(ctx, es.StreamID{Category: "answer", ID: fmt.Sprint(r.Position)}, es.NoStream, data)
				}
				return err
			},
		})
	}()
	return func() { cancel(); w.must(<-ended) }
}

// answers waits until a store has so many.
func (w *walk) answers(address string, n int) {
	w.Helper()
	w.until(fmt.Sprintf("%d answers", n), func() bool {
		return w.ask(address, `select count(*)::text from asof.events where category = 'answer'`) == fmt.Sprint(n)
	})
}

// A service that reacts to topics is put back: Kafka does not bring again what its group
// has committed, until the group is set back too. The inbox drops what was restored.
func TestOperating_a_service_that_reacts_is_put_back(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	p := w.start(embeddedtest.Server(t).URL()) // another service, whose events it reacts to
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	group := w.prefix + "answer"
	p.append("1", 5)
	p.right(5)
	stop := w.reacting(store, "answer")
	w.answers(server.URL(), 5)
	backup := server.Backup()
	p.append("1", 5)
	w.answers(server.URL(), 10)
	stop()
	server.Restore(backup)
	w.repair(server.URL(), outbox.EventsLost())

	restored := pgstoretest.Open(t, server.URL())
	stop = w.reacting(restored, "answer")
	last := p.append("1", 1)
	w.until("the newest is answered", func() bool {
		return w.ask(server.URL(), fmt.Sprintf(`select count(*)::text from asof.events where category = 'answer' and stream_id = '%d'`, last.Position)) == "1"
	})
	w.answers(server.URL(), 6) // the five between are lost without a word
	stop()

	w.rewind(group)
	stop = w.reacting(restored, "answer")
	w.answers(server.URL(), 11)
	stop()
}

// rewind is kafka-consumer-groups --reset-offsets --to-earliest.
func (w *walk) rewind(group string) {
	w.Helper()
	heads, err := w.client.Heads(w.ctx, w.prefix+"note")
	w.must(err)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	seen := make(chan int, 2*len(heads))
	done := make(chan error, 1)
	go func() {
		done <- w.client.Consume(ctx, kafka.Group{Name: group, Topics: []string{w.prefix + "note"}}, func(ctx context.Context, part *kafka.Partition) error {
			part.Commit(0)
			seen <- part.Number()
			<-ctx.Done() // it is written when the partition is given back
			return nil
		})
	}()
	for range heads {
		select {
		case <-seen:
		case <-w.ctx.Done():
			w.Fatal("the group gets no partitions")
		}
	}
	cancel()
	w.must(<-done)
}

// A copy of a server's files is the server for all that Postgres says of itself. What
// Kafka has beyond it is all that tells.
func TestOperating_a_copy_of_the_files(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 10)
	p.right(10)
	copied := server.Copy()
	p.append("1", 1) // the original goes on
	p.right(11)
	published, err := w.client.Heads(w.ctx, w.prefix+"note")
	w.must(err)
	copy := w.start(copied.URL())
	copy.append("1", 3)
	select {
	case err := <-copy.relay:
		if !errors.Is(err, es.ErrRestored) || !strings.Contains(err.Error(), "Kafka has") {
			t.Errorf("the relay of the copy ended with %v", err)
		}
	case <-w.ctx.Done():
		t.Fatal("the relay of the copy goes on")
	}
	copy.stop()
	if now, err := w.client.Heads(w.ctx, w.prefix+"note"); err != nil || !same(published, now) {
		t.Errorf("the copy has published into the real topic: %v, before %v, %v", now, published, err)
	}
	apart := newWalk(t) // topics of its own
	apart.repair(copied.URL(), outbox.EventsLost())
	again := apart.start(copied.URL())
	again.append("1", 3)
	again.right(16)
}

// What can be done wrong in an upgrade is refused: all tables are published, somebody
// appends while the subscription is there, also when it is disabled, or before the repair.
func TestOperating_an_upgrade_that_goes_wrong(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	old := embeddedtest.Server(t, embeddedtest.Major(15))
	before := pgstoretest.Open(t, old.URL())
	p := &program{walk: w, store: before}
	p.append("1", 10)
	w.exec(old.URL(), `create publication upgrade for table asof.events, asof.categories, asof.contracts`) // without who it is
	usual := embeddedtest.Server(t)
	after := &program{walk: w, store: pgstoretest.Open(t, usual.URL())}
	w.exec(usual.URL(), `create subscription upgrade connection '`+old.URL()+`' publication upgrade`)
	w.until("the events are there", func() bool { return w.ask(usual.URL(), `select count(*)::text from asof.events`) == "10" })
	refused := func(what string, part string) {
		t.Helper()
		store := pgstore.New(after.store.Pool())
		_, err := store.Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.Any, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)})
		if err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "asof repair") {
			t.Errorf("an append, %s: %v", what, err)
		}
		if err := outbox.Repair(w.ctx, store, 0); part == "subscription" && !errors.Is(err, es.ErrRestored) {
			t.Errorf("a repair, %s: %v", what, err)
		}
	}
	refused("while the subscription is there", "subscription")
	w.exec(usual.URL(), `alter subscription upgrade disable`)
	refused("while the subscription is disabled", "subscription")
	w.exec(usual.URL(), `alter subscription upgrade enable`, `drop subscription upgrade`)
	refused("with a sequence behind the log", "behind the log")
	w.must(outbox.Repair(w.ctx, after.store, 10))
	if last := after.append("1", 1); last.Version != 11 || last.Position != 11 {
		t.Errorf("the stream goes on at version %d, position %d", last.Version, last.Position)
	}
	life, err := before.Life(w.ctx)
	w.must(err)
	if now, err := after.store.Life(w.ctx); err != nil || now == life {
		t.Errorf("without store_identity it is another store for its readers, and is taken for the same: %v", err)
	}
}
