package docs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/migrations"
	"github.com/asof-dev/asof/projections"
)

// login is a pool as another role.
func (w *walk) login(address, role string) *pgxpool.Pool {
	w.Helper()
	config, err := pg.ParsePool(address)
	w.must(err)
	config.ConnConfig.User, config.ConnConfig.Password = role, "x"
	pool, err := pgxpool.NewWithConfig(w.ctx, config)
	w.must(err)
	w.Cleanup(pool.Close)
	return pool
}

// The migrations, status and repair, by roles that are nothing else.
func TestRights_of_operators_are_enough(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]embeddedtest.ServerOption{"18": nil, "15": {embeddedtest.Major(15)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWalk(t)
			address := embeddedtest.Server(t, options...).URL()
			w.exec(address, `create role migrator login password 'x'`, `create schema asof authorization migrator`)
			migrator := w.login(address, "migrator")
			w.must(migrations.Up(w.ctx, migrator))
			appender := w.role(address, "appender", `insert on asof.events, asof.categories, asof.contracts`, `usage on sequence asof.events_position, asof.settled_moment`)
			event := es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}
			recorded, err := appender.Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.NoStream, event)
			w.must(err)

			tx, err := appender.Pool().Begin(w.ctx)
			w.must(err)
			_, err = appender.InTx(tx).Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.Any, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)})
			w.must(err)
			watcher := w.role(address, "watcher")
			status, err := watcher.Status(w.ctx)
			if err != nil || status.Head != recorded[0].Position || len(status.Holders) != 1 || status.Holders[0].PID == 0 {
				t.Errorf("status: %+v, %v", status, err)
			}
			if _, err := outbox.ReadStatus(w.ctx, watcher); err != nil {
				t.Errorf("status of the relay: %v", err)
			}
			if _, err := projections.List(w.ctx, watcher); err != nil {
				t.Errorf("status of projections: %v", err)
			}
			if _, err := migrations.Status(w.ctx, watcher.Pool(), migrations.Framework("asof")); err != nil {
				t.Errorf("status of the migrations: %v", err)
			}
			w.must(migrations.Up(w.ctx, watcher.Pool())) // nothing is to be done
			w.exec(address, `grant pg_monitor to watcher`)
			if status, err = watcher.Status(w.ctx); err != nil || status.Holders[0].State != "idle in transaction" {
				t.Errorf("status of pg_monitor: %+v, %v", status.Holders, err)
			}
			w.must(tx.Commit(w.ctx))

			for who, store := range map[string]*pgstore.Store{"appender": appender, "watcher": watcher} {
				if err := outbox.Repair(w.ctx, store, 0, outbox.EventsLost()); !pg.MayNotWrite(err) || !strings.Contains(err.Error(), "docs/operating.md") {
					t.Errorf("a repair by %s: %v", who, err)
				}
			}
			w.must(outbox.Repair(w.ctx, pgstore.New(migrator), 1, outbox.EventsLost())) // of the owner
			mender := w.role(address, "mender", `update on sequence asof.events_position, asof.settled_moment`, `usage on sequence asof.events_position, asof.settled_moment`,
				`insert, update on asof.store_identity, asof.settled_head, asof.relay`, `insert on asof.categories`, `delete on asof.held`)
			w.must(outbox.Repair(w.ctx, mender, 1, outbox.EventsLost()))

			reading := w.login(address, "watcher")
			if err := pgx.BeginTxFunc(w.ctx, reading, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
				for _, err := range pgstore.New(reading).InTx(tx).ReadStream(w.ctx, es.StreamID{Category: "note", ID: "1"}, 1) {
					if err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Errorf("ReadStream in a transaction that only reads: %v", err)
			}
			if _, err := appender.Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.Exactly(1), es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}); !errors.Is(err, es.ErrConflict) {
				t.Errorf("a conflict of the appender: %v", err)
			}
			w.exec(address, `select setval('asof.events_position', 1, false)`)
			if _, err := appender.Append(w.ctx, es.StreamID{Category: "note", ID: "1"}, es.Any, es.EventData{ID: es.NewID(), Type: "note.noted", Data: []byte(`{}`)}); !errors.Is(err, es.ErrRestored) {
				t.Errorf("an append with a sequence behind the log: %v", err)
			}
		})
	}
}
