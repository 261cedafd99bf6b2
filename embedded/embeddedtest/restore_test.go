package embeddedtest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
)

// within bounds a wait; the first one of a machine may fetch PostgreSQL.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// run runs statements, each in a transaction of its own.
func run(t testing.TB, address string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(within(t), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, statement := range statements {
		if _, err := conn.Exec(within(t), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// ask returns the texts that a query of one column gives.
func ask(t testing.TB, address, query string) []string {
	t.Helper()
	conn, err := pgx.Connect(within(t), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(within(t), query)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func wants(t testing.TB, address, query string, want ...string) {
	t.Helper()
	if got := ask(t, address, query); !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", query, got, want)
	}
}

// awaits polls a query until it says so.
func awaits(t testing.TB, address, query string, want ...string) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !slices.Equal(ask(t, address, query), want) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: never %v", query, want)
		}
	}
}

const (
	noted     = `SELECT n::text FROM notes ORDER BY n`
	makeNotes = `CREATE TABLE notes (n int PRIMARY KEY)`
	note1     = `INSERT INTO notes VALUES (1)`
	note2     = `INSERT INTO notes VALUES (2)`
	note3     = `INSERT INTO notes VALUES (3)`
	timeline  = `SELECT timeline_id::text FROM pg_control_checkpoint()`
	identity  = `SELECT system_identifier::text FROM pg_control_system()`
)

func TestServer_of_an_older_major_version_replicates_to_the_usual_one(t *testing.T) {
	t.Parallel()
	old := embeddedtest.Server(t, embeddedtest.Major(15), embeddedtest.Setting("max_wal_senders", "7"))
	if got := ask(t, old.URL(), `SHOW server_version`); !strings.HasPrefix(got[0], "15.") {
		t.Fatalf("it is %s", got)
	}
	wants(t, old.URL(), `SHOW max_wal_senders`, "7")
	run(t, old.URL(), makeNotes, note1, `CREATE PUBLICATION upgrade FOR ALL TABLES`)
	usual := embeddedtest.Server(t)
	if got := ask(t, usual.URL(), `SHOW server_version`); strings.HasPrefix(got[0], "15.") {
		t.Fatalf("it is %s", got)
	}
	run(t, usual.URL(), makeNotes, `CREATE SUBSCRIPTION upgrade CONNECTION '`+old.URL()+`' PUBLICATION upgrade`)
	run(t, old.URL(), note2)
	awaits(t, usual.URL(), noted, "1", "2")
	run(t, usual.URL(), `DROP SUBSCRIPTION upgrade`)
}

func TestServer_with_settings_keeps_them_through_a_restart(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t, embeddedtest.Setting("max_prepared_transactions", "3"), embeddedtest.Setting("wal_level", "replica"), embeddedtest.OwnIdentity())
	server.Set("work_mem", "7MB")
	server.Set("asof.word", "it's")
	for range 2 {
		wants(t, server.URL(), `SHOW max_prepared_transactions`, "3")
		wants(t, server.URL(), `SHOW wal_level`, "replica")
		wants(t, server.URL(), `SHOW work_mem`, "7MB")
		wants(t, server.URL(), `SHOW asof.word`, "it's")
		server.Restart()
	}
	if other := embeddedtest.Server(t); slices.Equal(ask(t, server.URL(), identity), ask(t, other.URL(), identity)) {
		t.Error("the identity is that of all the others")
	}
}

func TestBackup_is_put_back_under_those_who_use_the_server(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]bool{"running": false, "stopped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := embeddedtest.Server(t)
			pool := server.Pool()
			run(t, server.URL(), makeNotes, note1)
			if stopped {
				server.Stop()
			}
			backup := server.Backup()
			if stopped {
				server.Restart()
			}
			run(t, server.URL(), note2)
			copied := backup.Server(t)
			address := server.URL()
			server.Restore(backup)
			if server.URL() != address || copied.URL() == address {
				t.Errorf("the addresses are %s, %s and %s", address, server.URL(), copied.URL())
			}
			wants(t, server.URL(), noted, "1")
			wants(t, copied.URL(), noted, "1")
			run(t, copied.URL(), note3)
			wants(t, server.URL(), noted, "1")
			server.Restart()
			server.Restore(backup)
			wants(t, server.URL(), noted, "1")
			awaitPing(t, pool.Ping) // reconnects
		})
	}
}

func awaitPing(t *testing.T, ping func(context.Context) error) {
	t.Helper()
	ctx := within(t)
	for ping(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("the pool does not come back")
		}
	}
}

func TestBackup_of_a_server_under_load_is_whole(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	run(t, server.URL(), makeNotes)
	ctx, stop := context.WithCancel(within(t))
	pool, ended := server.Pool(), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = pool.Exec(ctx, `INSERT INTO notes SELECT $1 * 1000 + generate_series(0, 999)`, n)
		}
	}()
	awaits(t, server.URL(), `SELECT (count(*) > 5000)::text FROM notes`, "true")
	copied := server.Copy()
	stop()
	<-ended
	wants(t, copied.URL(), `SELECT (count(*) > 5000 AND count(*) = max(n) + 1 AND count(*) % 1000 = 0)::text FROM notes`, "true")
	run(t, copied.URL(), `SET enable_seqscan = off`, `INSERT INTO notes VALUES (-1)`, `VACUUM notes`)
}

func TestStandby_follows_and_is_promoted_in_the_place_of_its_primary(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	run(t, primary.URL(), makeNotes, note1)
	standby := primary.Standby("s1")
	primary.Set("synchronous_standby_names", "ANY 1 (s1)")
	run(t, primary.URL(), note2) // returns when the standby has it
	wants(t, primary.URL(), `SELECT sync_state FROM pg_stat_replication`, "quorum")
	primary.AwaitStandby("s1")
	wants(t, standby.URL(), noted, "1", "2")
	wants(t, standby.URL(), `SELECT pg_is_in_recovery()::text`, "true")
	standby.Restart() // stays what it is
	run(t, primary.URL(), note3)
	primary.AwaitStandby("s1")

	primary.Kill()
	standby.Promote()
	address := primary.URL()
	standby.TakeAddress(primary)
	if standby.URL() != address {
		t.Errorf("the address is %s, want %s", standby.URL(), address)
	}
	wants(t, address, noted, "1", "2", "3")
	run(t, address, `CHECKPOINT`, `INSERT INTO notes VALUES (4)`)
	wants(t, address, timeline, "2")
}

func TestArchive_brings_a_backup_to_any_moment(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t, embeddedtest.Archived())
	run(t, server.URL(), makeNotes, note1)
	backup := server.Backup()
	run(t, server.URL(), note2, `SELECT pg_create_restore_point('two')`)
	moment := ask(t, server.URL(), `SELECT clock_timestamp()::text`)[0]
	run(t, server.URL(), note3)
	before := ask(t, server.URL(), identity)

	server.Restore(backup, embeddedtest.RecoverTo("recovery_target_time", moment))
	wants(t, server.URL(), noted, "1", "2")
	wants(t, server.URL(), identity, before...)
	run(t, server.URL(), `INSERT INTO notes VALUES (20)`, `CHECKPOINT`)
	wants(t, server.URL(), timeline, "2")

	// The archive has both lines.
	named := backup.Server(t, embeddedtest.RecoverTo("recovery_target_name", "two"), embeddedtest.RecoverTo("recovery_target_timeline", "1"))
	wants(t, named.URL(), noted, "1", "2")
	server.Restart()
	server.Restore(backup, embeddedtest.RecoverTo("recovery_target_timeline", "1"))
	wants(t, server.URL(), noted, "1", "2", "3")
	again := server.Copy() // has no target of an earlier recovery
	wants(t, again.URL(), noted, "1", "2", "3")
}
