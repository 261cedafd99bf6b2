package embeddedtest_test

import (
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/embedded/embeddedtest"
)

func TestPool_is_a_fresh_database_every_time(t *testing.T) {
	t.Parallel()
	for range 2 {
		begin := time.Now()
		pool := embeddedtest.Pool(t)
		if _, err := pool.Exec(t.Context(), `CREATE TABLE mine (n int)`); err != nil {
			t.Fatal(err)
		}
		t.Logf("a database took %s", time.Since(begin))
	}
}

func TestServer_keeps_committed_rows_through_kill(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	pool := server.Pool()
	if _, err := pool.Exec(t.Context(), `CREATE TABLE kept AS SELECT 42 AS n`); err != nil {
		t.Fatal(err)
	}
	first := server.PID()
	server.Kill()
	server.Restart()
	if server.PID() == first {
		t.Fatal("the server was not started again")
	}
	var n int
	if err := server.Pool().QueryRow(t.Context(), `SELECT n FROM kept`).Scan(&n); err != nil || n != 42 {
		t.Fatalf("got %d, %v", n, err)
	}
}

func TestBrokers_answer(t *testing.T) {
	t.Parallel()
	brokers := embeddedtest.Brokers(t)
	conn, err := kafka.DialContext(t.Context(), "tcp", brokers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := conn.Brokers()
	if err != nil || len(got) == 0 {
		t.Fatalf("got %v, %v", got, err)
	}
}

// A database of a test's own, made and connected to. They are dropped at the end.
func BenchmarkDatabase(b *testing.B) {
	embeddedtest.Database(b) // the server
	for b.Loop() {
		if err := embeddedtest.Pool(b).Ping(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
