package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

// abandon appends, and gives up before the standbys have the events, which are visible
// even so.
func (w *world) abandon(category, id string, n int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := w.store.Append(ctx, es.StreamID{Category: category, ID: id}, es.Any, some(n)...); err == nil {
		w.Fatal("an append was acknowledged without the standbys")
	}
	w.until("the events to be visible", func() bool {
		var there int
		err := w.pool.QueryRow(w.Context(), `select count(*) from asof.events where category = $1 and stream_id = $2`, category, id).Scan(&there)
		return err == nil && there == n
	})
}

// waitsForStandbys expects that nothing more is published, that Status says why, and
// that the relay keeps its lease meanwhile.
func (w *world) waitsForStandbys(published int64) {
	w.Helper()
	w.until("the failure to be shown", func() bool { return w.status().Failure != "" })
	s := w.status()
	if !strings.Contains(s.Failure, "synchronous standbys do not have the events") || strings.Contains(s.Failure, "Kafka") || s.Leader == "" {
		w.Errorf("status: %s", s)
	}
	for range 4 { // renewals, which are more than a lease
		var last, now time.Time
		w.lease(&last)
		w.until("the lease to be renewed", func() bool { w.lease(&now); return now.After(last) })
	}
	if n := w.messages("order"); n != published {
		w.Errorf("%d messages, want %d", n, published)
	}
	if later := w.status(); later.Epoch != s.Epoch {
		w.Errorf("%s, before: %s", later, s)
	}
}

func (w *world) lease(until *time.Time) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), `select coalesce(lease_until, 'epoch') from asof.relay`).Scan(until); err != nil {
		w.Fatal(err)
	}
}

// Of what is published the standby that is promoted has all.
func TestRelay_publishes_only_what_the_standby_has(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	w := newWorldAt(t, primary.URL(), embeddedtest.Brokers(t))
	w.append("order", "1", 5)
	standby := primary.Standby("s1")
	primary.Set("synchronous_standby_names", "FIRST 1 (s1)")
	start(t, w.relay(short()))
	w.append("order", "1", 5)
	w.until("all to be published", func() bool { return w.status().Position == 10 })

	standby.Stop()
	w.abandon("order", "2", 3)
	w.waitsForStandbys(10)
	standby.Restart()
	primary.AwaitStandby("s1")
	w.until("the rest to be published", func() bool { return w.status().Position == 13 && w.status().Failure == "" })

	standby.Stop()
	w.abandon("order", "3", 3)
	w.waitsForStandbys(13)
	primary.Kill()
	standby.Restart()
	standby.Promote()
	promoted, versions := standby.Pool(), map[string]es.Version{}
	rows, err := promoted.Query(t.Context(), `select stream_id, max(version) from asof.events group by 1`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id string
		var version es.Version
		if err := rows.Scan(&id, (*int64)(&version)); err != nil {
			t.Fatal(err)
		}
		versions[id] = version
	}
	for _, messages := range w.published(w.prefix + "order") {
		for _, m := range messages {
			if e := w.eventOf(m); e.Version > versions[e.Stream.ID] {
				t.Errorf("%s version %d is published and the promoted log has %d", e.Stream, e.Version, versions[e.Stream.ID])
			}
		}
	}
	if err := outbox.Repair(t.Context(), pgstore.New(promoted), 13); err != nil {
		t.Errorf("repair of the promoted one: %v", err)
	}
}

// As many standbys as a commit waits for, and of those that it waits for.
func TestRelay_waits_for_the_standbys_that_commits_wait_for(t *testing.T) {
	t.Parallel()
	for names, one := range map[string]bool{ // whether s1 alone is enough
		"ANY 1 (s1, s2)": true, "ANY 2 (s1, s2)": false, "FIRST 1 (s2, s1)": true, "FIRST 2 (s1, s2)": false, "*": true, "s2": false,
	} {
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			primary := embeddedtest.Server(t)
			w := newWorldAt(t, primary.URL(), embeddedtest.Brokers(t))
			w.append("order", "1", 5)
			_, s2 := primary.Standby("s1"), primary.Standby("s2")
			primary.Set("synchronous_standby_names", names)
			start(t, w.relay(short()))
			w.until("all to be published", func() bool { return w.status().Position == 5 })
			s2.Stop()
			if one {
				w.append("order", "2", 5)
			} else {
				w.abandon("order", "2", 5)
				w.waitsForStandbys(5)
				s2.Restart()
			}
			w.until("all to be published", func() bool { return w.status().Position == 10 })
		})
	}
}

// A relay that begins while no standby is there takes its lease and waits.
func TestRelay_that_starts_without_its_standby_says_so(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	w := newWorldAt(t, primary.URL(), embeddedtest.Brokers(t))
	if err := w.client.EnsureTopics(t.Context(), topicOf(w, "order")); err != nil {
		t.Fatal(err)
	}
	w.append("order", "1", 5)
	primary.Set("synchronous_standby_names", "s1")
	stop := start(t, w.relay(short()))
	w.waitsForStandbys(0)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := w.status(); s.Leader != "" || s.Position != 0 {
		t.Errorf("after a clean stop: %s", s)
	}
	start(t, w.relay(short()))
	primary.Set("synchronous_standby_names", "")
	w.until("all to be published", func() bool { return w.status().Position == 5 })
}

// A role with the rights of docs/operating.md and without pg_monitor is told what to
// grant.
func TestRelay_that_may_not_see_the_standbys_names_the_grant(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	w := newWorldAt(t, primary.URL(), embeddedtest.Brokers(t))
	w.append("order", "1", 5)
	for _, sql := range []string{
		`create role relayer login password 'x'`,
		`grant usage on schema asof to relayer`,
		`grant select on all tables in schema asof to relayer`,
		`grant update on asof.relay, asof.settled_head to relayer`,
		`grant insert on asof.relay_topics to relayer`,
	} {
		w.exec(sql)
	}
	config := w.pool.Config()
	config.ConnConfig.User, config.ConnConfig.Password = "relayer", "x"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	stop := start(t, w.relayOf(pgstore.New(pool)))
	w.until("all to be published", func() bool { return w.status().Position == 5 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	primary.Standby("s1")
	primary.Set("synchronous_standby_names", "s1")
	w.append("order", "1", 5)
	err = w.refused(true, pgstore.New(pool))
	if !errors.Is(err, pgstore.ErrNotReplicated) || !strings.Contains(err.Error(), `grant pg_monitor to "relayer"`) {
		t.Fatal(err)
	}
	if s := w.status(); s.Position != 5 || !strings.Contains(s.Failure, "grant pg_monitor") {
		t.Error(s)
	}
	w.exec(`grant pg_monitor to relayer`)
	start(t, w.relayOf(pgstore.New(pool)))
	w.until("all to be published", func() bool { return w.status().Position == 10 })
}
