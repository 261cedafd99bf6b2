package outbox_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

func TestRestored_database_is_refused(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]string{
		"the log ends at position 10 and the checkpoint is at 17": `update asof.relay set position = 17`,
		"the event at position 10 is not the one":                 `update asof.relay set event_id = gen_random_uuid()`,
		"the checkpoint is of life":                               `update asof.store_identity set life = gen_random_uuid()`,
		"the events table's oid is":                               `update asof.store_identity set events_oid = 1`,
		"the database's oid is":                                   `update asof.store_identity set database_oid = 1`,
		"the cluster's system identifier is":                      `update asof.store_identity set system_id = '1'`,
		"its timeline is 00000001 and was 0000":                   `update asof.store_identity set timeline = '00000007'`,
	} {
		t.Run(strings.ReplaceAll(text, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("order", "1", 10)
			stop := start(t, w.relay())
			w.wait()
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if _, err := w.pool.Exec(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			before := w.status()
			err := w.refused(false, pgstore.New(w.pool)) // of another process
			if !errors.Is(err, outbox.ErrRestored) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "asof repair") {
				t.Fatalf("the relay ended with %v, want %q", err, text)
			}
			if s := w.status(); s.Position != before.Position || !strings.Contains(s.Failure, text) || s.Leader != "" {
				t.Fatal(s)
			}

			if err := outbox.Repair(t.Context(), w.store, 10); err != nil {
				t.Fatal(err)
			}
			w.append("order", "1", 5)
			start(t, w.relay())
			w.wait()
			if repeats := w.verify("order"); repeats != 0 {
				t.Errorf("%d repeats", repeats)
			}
		})
	}
}

// A standby of this database is promoted, while the relay runs.
func TestPromotion_is_noticed(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	w := newWorldAt(t, server.URL(), embeddedtest.Brokers(t))
	w.append("order", "1", 10)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- w.relay(short()).Run(ctx) }()
	w.wait()

	var dir string
	if err := w.pool.QueryRow(t.Context(), `show data_directory`).Scan(&dir); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if err := os.WriteFile(filepath.Join(dir, "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	w.pool.Reset() // of sessions that do not know yet
	if _, err := w.pool.Exec(t.Context(), `select pg_promote()`); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, outbox.ErrRestored) || !strings.Contains(err.Error(), "its timeline is 00000002 and was 00000001") {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the relay did not notice that it is on another timeline")
	}
	if err := outbox.Repair(t.Context(), w.store, w.status().Position); err != nil {
		t.Fatal(err)
	}
	w.append("order", "1", 5)
	start(t, w.relay())
	w.wait()
	w.verify("order")
}

func TestRepair_is_refused_where_it_would_do_harm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.append("order", "1", 3)
	for _, position := range []es.Position{-1, last + 1} {
		if err := outbox.Repair(t.Context(), w.store, position); !errors.Is(err, outbox.ErrInvalid) {
			t.Errorf("position %d: %v", position, err)
		}
	}
	stop := start(t, w.relay())
	w.wait()
	if err := outbox.Repair(t.Context(), w.store, 0); !errors.Is(err, outbox.ErrBusy) {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := outbox.Repair(t.Context(), w.store, 0); err != nil { // publish all again
		t.Fatal(err)
	}
	start(t, w.relay())
	w.wait()
	if repeats := w.verify("order"); repeats != 3 {
		t.Errorf("%d repeats", repeats)
	}
}
