package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

type status struct {
	Service  string    `json:"service"`
	Database string    `json:"database"`
	Schema   string    `json:"schema"`
	At       time.Time `json:"at"`
	Log      struct {
		Head       es.Position `json:"head"`
		Settled    es.Position `json:"settled"`
		Events     int64       `json:"events"`
		Streams    int64       `json:"streams"`
		Life       uuid.UUID   `json:"life"`
		Final      *time.Time  `json:"final"`
		Elsewhere  string      `json:"elsewhere"`
		Categories []struct {
			Name    string `json:"name"`
			Streams int64  `json:"streams"`
		} `json:"categories"`
	} `json:"log"`
	Holders []struct {
		PID         int       `json:"pid"`
		Prepared    string    `json:"prepared"`
		Application string    `json:"application"`
		State       string    `json:"state"`
		Since       time.Time `json:"since"`
		Seconds     float64   `json:"seconds"`
	} `json:"holders"`
	Relay struct {
		Position   es.Position `json:"position"`
		LagEvents  int64       `json:"lag_events"`
		LagSeconds float64     `json:"lag_seconds"`
		Leader     string      `json:"leader"`
		Epoch      int64       `json:"epoch"`
		Held       int64       `json:"held"`
		Failure    string      `json:"failure"`
		FailedAt   *time.Time  `json:"failed_at"`
	} `json:"relay"`
	Projections []struct {
		Name       string      `json:"name"`
		Version    int         `json:"version"`
		Live       bool        `json:"live"`
		Source     string      `json:"source"`
		Position   es.Position `json:"position"`
		LagEvents  int64       `json:"lag_events"`
		LagSeconds float64     `json:"lag_seconds"`
		Skipped    int64       `json:"skipped"`
		Foreign    int64       `json:"foreign"`
		Lanes      int         `json:"lanes"`
		Parked     int64       `json:"parked"`
		Failure    string      `json:"failure"`
		Gaps       *struct {
			Streams int64     `json:"streams"`
			Lost    int64     `json:"lost"`
			Since   time.Time `json:"since"`
		} `json:"gaps"`
		Paused *struct {
			Reason string    `json:"reason"`
			Since  time.Time `json:"since"`
		} `json:"paused"`
		Building *struct {
			Version int   `json:"version"`
			Done    int64 `json:"done"`
			Total   int64 `json:"total"`
			Active  bool  `json:"active"`
		} `json:"building"`
		Retired int `json:"retired"`
	} `json:"projections"`
	Reactions []struct {
		Name   string     `json:"name"`
		Parked int64      `json:"parked"`
		Oldest *time.Time `json:"oldest"`
		Waits  []struct {
			Topic     string    `json:"topic"`
			Partition int       `json:"partition"`
			Offset    int64     `json:"offset"`
			Error     string    `json:"error"`
			Stopped   bool      `json:"stopped"`
			Since     time.Time `json:"since"`
		} `json:"waits"`
	} `json:"reactions"`
}

func (w *world) status() (s status) {
	w.Helper()
	w.must("status", "-o", "json").into(&s)
	return s
}

func TestStatus_of_an_empty_store(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.status()
	if s.Service != "ledger" || s.Schema != "asof" || s.Database == "" || s.At.IsZero() || s.Log.Events != 0 || s.Log.Categories == nil || s.Holders == nil {
		t.Errorf("%+v", s)
	}
	if len(s.Projections) != 1 || s.Projections[0].Name != "balances" || s.Projections[0].Live {
		t.Errorf("projections: %+v", s.Projections)
	}
	w.must("status").has("all is readable", "not built", "none is active")
	w.service.Projections = nil
	if s := w.status(); s.Projections == nil || len(s.Projections) != 0 {
		t.Errorf("projections: %+v", s.Projections)
	}
}

func TestStatus_counts_events_and_lags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{1})
	w.run("rebuild", "balances").exits(command.ExitOK)
	w.append("b-1", Opened{"bob"})
	unknown := es.EventData{ID: es.NewID(), Type: "note.taken", Data: []byte(`{}`)}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "note", ID: "n-1"}, es.NoStream, unknown); err != nil {
		t.Fatal(err)
	}
	s := w.status()
	if s.Log.Head != 4 || s.Log.Settled != 4 || s.Log.Events != 4 || s.Log.Streams != 3 || len(s.Log.Categories) != 2 || s.Log.Categories[1].Name != "note" {
		t.Errorf("log: %+v", s.Log)
	}
	if s.Relay.Position != 0 || s.Relay.LagEvents != 4 || s.Relay.LagSeconds <= 0 || s.Relay.Leader != "" {
		t.Errorf("relay: %+v", s.Relay)
	}
	p := s.Projections[0]
	if len(s.Projections) != 1 || !p.Live || p.Version != 1 || p.Source != "log" || p.Position != 2 || p.LagSeconds <= 0 {
		t.Errorf("projections: %+v", s.Projections)
	}
	if p.LagEvents != 1 { // the note is no lag of a projection of accounts
		t.Errorf("lag: %+v", p)
	}
	w.must("status").has("CATEGORY", "account   2", "PROJECTION", "balances")
}

// A transaction that has appended and stays open is named, whether it is a session's
// or prepared; and what comes after it is not settled.
func TestStatus_names_who_holds_the_log_back(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	hold := func(application, end string) *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), w.env["DATABASE_URL"]+"&application_name="+application)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		data := es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(`{}`)}
		if _, err := w.store.InTx(tx).Append(t.Context(), es.StreamID{Category: "account", ID: application}, es.NoStream, data); err != nil {
			t.Fatal(err)
		}
		if end != "" {
			if _, err := tx.Exec(t.Context(), end); err != nil {
				t.Fatal(err)
			}
		}
		return conn
	}
	conn := hold("sleepy", "")
	hold("forgotten", "prepare transaction 'left over'")
	w.append("b-1", Opened{"bob"})
	s := w.status()
	if s.Log.Head != 4 || s.Log.Settled >= 4 {
		t.Errorf("log: %+v", s.Log)
	}
	if len(s.Holders) != 2 {
		t.Fatalf("holders: %+v", s.Holders)
	}
	session, prepared := s.Holders[0], s.Holders[1]
	if session.PID != int(conn.PgConn().PID()) || session.Application != "sleepy" || session.State != "idle in transaction" || session.Seconds <= 0 || session.Since.IsZero() {
		t.Errorf("session: %+v", session)
	}
	if prepared.PID != 0 || prepared.Prepared != "left over" || prepared.State != "prepared" {
		t.Errorf("prepared: %+v", prepared)
	}
	w.must("status").has("later events wait", "OPEN APPEND", "sleepy", "idle in transaction", "prepared left over")
}

// While first builds land, one after the other, no projection of the service is ever
// missing.
func TestStatus_leaves_no_projection_out_while_it_is_built(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	w.service.Projections = nil
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"}
	for _, name := range names {
		model := balances("account", 1)
		model.Name = name
		w.service.Projections = append(w.service.Projections, projections.Definition(model))
	}
	builds := w.start(append([]string{"project"}, names...)...)
	until(t, "all are live", func() bool {
		s := w.status()
		live := 0
		for i, p := range s.Projections {
			if p.Name != names[i] {
				t.Fatalf("status has %+v", s.Projections)
			}
			if p.Live {
				live++
			}
		}
		if len(s.Projections) != len(names) {
			t.Fatalf("%d projections of %d", len(s.Projections), len(names))
		}
		return live == len(names)
	})
	builds.interrupt().exits(command.ExitOK)
}

func TestStatus_shows_failures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	w.run("rebuild", "balances").exits(command.ExitOK)
	w.exec("update asof.builds set failure = 'disk' || chr(10) || 'full'; update asof.lanes set foreign_messages = 3")
	w.exec("update asof.relay set failure = 'no broker', failed_at = now()")
	s := w.status()
	if s.Projections[0].Failure != "disk\nfull" || s.Projections[0].Foreign != 3 || s.Relay.Failure != "no broker" || s.Relay.FailedAt == nil {
		t.Errorf("%+v", s)
	}
	text := w.must("status").has("balances failing: disk full", "relay failing since", "no broker", "skipped 3 messages").out
	if strings.Contains(text, "disk\nfull") {
		t.Errorf("a failure breaks its line: %s", text)
	}
}
