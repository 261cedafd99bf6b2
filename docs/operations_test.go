package docs_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// Each line of the table in operating.md is walked here, on real servers.

func TestOperating_a_restart_needs_nothing(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 5)
	server.Kill()
	server.Restart()
	p.append("1", 5)
	p.right(10)
}

func TestOperating_a_backup_put_back(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 10)
	p.right(10)
	backup := server.Backup()
	p.append("lost", 5)
	p.right(15)
	life, err := p.store.Life(w.ctx)
	w.must(err)
	server.Restore(backup)
	p.append("new", 5) // the service goes on, at the positions of the lost events
	p.refused("not the one that was read")
	late := w.start(server.URL()) // a relay that saw nothing of it
	if err := <-late.relay; !errors.Is(err, es.ErrRestored) || !strings.Contains(err.Error(), "put back") && !strings.Contains(err.Error(), "Kafka has") {
		t.Errorf("a relay that was started after it ended with %v", err)
	}
	late.stop()

	w.repair(server.URL(), outbox.EventsLost())
	again := w.start(server.URL())
	again.append("new", 3)
	again.right(18)
	now, err := again.store.Life(w.ctx)
	w.must(err)
	if now == life {
		t.Error("the store lives on as if nothing was lost")
	}
}

func TestOperating_recovery_to_a_point_in_time(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t, embeddedtest.Archived())
	p := w.start(server.URL())
	p.append("1", 5)
	p.right(5)
	backup := server.Backup()
	p.append("1", 5)
	p.right(10)
	at := w.ask(server.URL(), `select clock_timestamp()::text`)
	p.append("lost", 5)
	p.right(15)
	server.Restore(backup, embeddedtest.RecoverTo("recovery_target_time", at))
	p.refused("")
	fresh := pgstoretest.Open(w, server.URL())
	if _, err := fresh.Read(w.ctx, 0, 10); err == nil || !strings.Contains(err.Error(), "its timeline is") {
		t.Errorf("a program that comes after it: %v", err)
	}
	w.repair(server.URL(), outbox.EventsLost())
	again := w.start(server.URL())
	again.append("new", 3)
	again.right(13)
}

func TestOperating_a_standby_is_promoted(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 5)
	standby := server.Standby("s1")
	server.AwaitStandby("s1")
	server.Set("synchronous_standby_names", "ANY 1 (s1)")
	p.append("1", 5) // acknowledged, so the standby has them
	p.right(10)
	address := server.URL()
	server.Kill()
	standby.Promote()
	standby.TakeAddress(server)
	w.exec(address, `alter system reset synchronous_standby_names`, `select pg_reload_conf()`)
	p.refused("its timeline is")
	w.repair(address)
	again := w.start(address)
	again.append("1", 3)
	again.right(13)
}

// carried are the tables that go to another server: what is read models is built there
// anew. They go in this order.
func carried() []string {
	return []string{"events", "categories", "store_identity", "settled_head", "relay", "relay_topics", "inbox", "inbox_lives"}
}

// emptied takes the rows out that the migrations made.
const emptied = `delete from asof.store_identity; delete from asof.settled_head; delete from asof.relay`

func TestOperating_an_upgrade_by_logical_replication(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	old := embeddedtest.Server(t, embeddedtest.Major(15))
	p := w.start(old.URL())
	p.append("1", 10)
	p.right(10)
	w.exec(old.URL(), `create publication upgrade for table asof.`+strings.Join(carried(), ", asof."))

	usual := embeddedtest.Server(t)
	pgstoretest.Open(t, usual.URL()) // asof migrate
	w.exec(usual.URL(), strings.Split(emptied, "; ")...)
	w.exec(usual.URL(), `create subscription upgrade connection '`+old.URL()+`' publication upgrade`)
	p.append("1", 5)
	p.right(15)
	early := pgstoretest.Open(t, usual.URL())
	w.until("all tables are copied", func() bool {
		return w.ask(usual.URL(), `select count(*)::text from pg_subscription_rel where srsubstate <> 'r'`) == "0"
	})
	w.until("the events are there", func() bool { return w.ask(usual.URL(), `select count(*)::text from asof.events`) == "15" })
	if _, err := early.Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.Any, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}); err == nil || !strings.Contains(err.Error(), "subscription") {
		t.Errorf("an append while the subscription writes: %v", err)
	}

	p.stop() // all programs
	lsn := w.ask(old.URL(), `select pg_current_wal_lsn()::text`)
	w.until("all that the old server has is there", func() bool {
		return w.ask(old.URL(), `select (confirmed_flush_lsn >= '`+lsn+`')::text from pg_replication_slots where slot_name = 'upgrade'`) == "true"
	})
	if was, is := w.ask(old.URL(), `select position::text from asof.relay`), w.ask(usual.URL(), `select position::text from asof.relay`); was != is || was != "15" {
		t.Errorf("the relay's place is %s there and %s here", was, is)
	}
	w.exec(usual.URL(), `drop subscription upgrade`)
	late := pgstoretest.Open(t, usual.URL())
	if _, err := late.Read(w.ctx, 0, 10); err == nil || !strings.Contains(err.Error(), "system identifier") && !strings.Contains(err.Error(), "oid") {
		t.Errorf("a reader before the repair: %v", err)
	}
	w.repair(usual.URL())
	again := w.start(usual.URL())
	if last := again.append("1", 3); last.Version != 18 || last.Position < 16 {
		t.Errorf("the stream goes on at version %d, position %d", last.Version, last.Position)
	}
	again.right(18)
}

// dump copies the tables as a dump has them, without sequences.
func (w *walk) dump(from, to string) {
	w.Helper()
	old, err := pgx.Connect(w.ctx, from)
	w.must(err)
	defer old.Close(w.ctx)
	target, err := pgx.Connect(w.ctx, to)
	w.must(err)
	defer target.Close(w.ctx)
	for sql := range strings.SplitSeq(emptied, "; ") {
		_, err := target.Exec(w.ctx, sql)
		w.must(err)
	}
	for _, table := range carried() {
		var data strings.Builder
		_, err = old.PgConn().CopyTo(w.ctx, &data, `copy asof.`+table+` to stdout`)
		w.must(err)
		_, err = target.PgConn().CopyFrom(w.ctx, strings.NewReader(data.String()), `copy asof.`+table+` from stdin`)
		w.must(err)
	}
}

func TestOperating_a_dump_is_imported(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 10)
	p.right(10)
	p.stop()
	w.exec(server.URL(), `create database imported`)
	target := w.database(server.URL(), "imported")
	service := pgstoretest.Open(t, target) // asof migrate
	w.dump(server.URL(), target)
	_, err := service.Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.Any, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)})
	if err == nil || !strings.Contains(err.Error(), "events_position is at") {
		t.Errorf("an append before the repair: %v", err)
	}
	refused := w.start(target)
	refused.refused("oid")
	w.repair(target)
	again := w.start(target)
	again.append("1", 3)
	again.right(13)
}

func TestOperating_a_copy_for_tests(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	w.exec(server.URL(), `create database store`)
	p := w.start(w.database(server.URL(), "store"))
	p.append("1", 10)
	p.right(10)
	p.stop()
	p.store.Pool().Close()
	w.exec(server.URL(), `create database copied template store`)
	copied := w.database(server.URL(), "copied")
	published, err := w.client.Heads(w.ctx, w.prefix+"note")
	w.must(err)
	w.start(copied).refused("the database's oid")
	if now, err := w.client.Heads(w.ctx, w.prefix+"note"); err != nil || !same(published, now) {
		t.Errorf("the copy has published into the real topic: %v, before %v, %v", now, published, err)
	}
	apart := newWalk(t) // topics of its own
	apart.repair(copied, outbox.EventsLost())
	again := apart.start(copied)
	again.append("1", 3)
	again.right(13)
}

func same(a, b map[int]int64) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func TestOperating_a_clock_is_set_back(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	server := embeddedtest.Server(t)
	p := w.start(server.URL())
	p.append("1", 3)
	// As if moments had been made final by a clock that was five seconds ahead.
	w.exec(server.URL(), `select setval('asof.settled_moment', (extract(epoch from clock_timestamp() + interval '5 seconds') * 1000000)::bigint)`)
	first, second := p.append("1", 1), p.append("2", 1)
	if !first.RecordedAt.Equal(second.RecordedAt) {
		t.Errorf("recorded at %s and %s, want the settled moment", first.RecordedAt, second.RecordedAt)
	}
	w.until("the clock has caught up", func() bool {
		last := p.append("3", 1)
		return last.RecordedAt.After(first.RecordedAt)
	})
	_, err := p.store.Settle(w.ctx, first.RecordedAt)
	w.must(err)
}

// The table has a test for every line, and every test a line.
func TestOperating_table_is_walked(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(documents(t)["docs/operating.md"], "## When the database is another")
	section, _, _ = strings.Cut(section, "\n## ")
	named := regexp.MustCompile("`(TestOperating_\\w+)`")
	lines := 0
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what was done") {
			continue
		}
		if lines++; !named.MatchString(line) {
			t.Errorf("operating.md names no test in the line %s", line)
		}
	}
	if lines < 8 {
		t.Errorf("the table has only %d lines", lines)
	}
	walked := regexp.MustCompile(`(?m)^func (TestOperating_\w+)\(`)
	for path, code := range files(t, "_test.go") {
		for _, m := range walked.FindAllStringSubmatch(code, -1) {
			if m[1] != t.Name() && !strings.Contains(section, "`"+m[1]+"`") {
				t.Errorf("operating.md has no line for %s of %s", m[1], path)
			}
		}
	}
}
