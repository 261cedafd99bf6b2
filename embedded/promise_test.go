package embedded_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"
)

func TestServer_is_durable_closed_and_on_loopback_alone(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	stack := start(t, config(t, dir))
	conn := connect(t, stack.DatabaseURL())
	for name, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "",
		"wal_level": "logical", "max_connections": "200", "max_prepared_transactions": "20",
		"server_encoding": "UTF8", "timezone": "UTC",
	} {
		var got string
		if err := conn.QueryRow(within(t), `SELECT current_setting($1)`, name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	var otherwise int
	if err := conn.QueryRow(within(t), `SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'`).Scan(&otherwise); err != nil || otherwise > 0 {
		t.Errorf("%d ways in ask for no good password, %v", otherwise, err)
	}
	address, err := url.Parse(stack.DatabaseURL())
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("postgres", "wrong")
	if conn, err := pgx.Connect(within(t), address.String()); err == nil {
		_ = conn.Close(context.Background())
		t.Error("a wrong password is right")
	}
	if host, _, _ := net.SplitHostPort(stack.Brokers()[0]); host != "127.0.0.1" {
		t.Errorf("the broker is at %s", host)
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{"password", "postgres.log"} {
			if info, err := os.Stat(filepath.Join(dir, "postgres", name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	}
}

func TestBroker_makes_no_topic_by_mere_use(t *testing.T) {
	t.Parallel()
	c := config(t, newDir(t))
	c.DatabaseURL = "postgres://unused"
	brokers := start(t, c).Brokers()
	conn, err := kafka.DialContext(within(t), "tcp", brokers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 2 { // this request lets a broker that does so make it
		if made, err := conn.ReadPartitions("unmade"); err == nil {
			t.Errorf("it was made: %v", made)
		}
	}
	if err := dial(t, brokers).produce("unmade", "x"); err == nil {
		t.Error("a topic that nobody made takes messages")
	}
}

func TestPostgres_port_that_was_asked_for_is_used_or_refused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, newDir(t))
	c.Brokers = []string{"127.0.0.1:1"}
	c.PostgresPort = listener.Addr().(*net.TCPAddr).Port
	wantRefusal(t, c, "Address already in use")
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	stack := start(t, c) // in the same process: nothing is held by the start that failed
	if want := ":" + strconv.Itoa(c.PostgresPort) + "/"; !strings.Contains(stack.DatabaseURL(), want) {
		t.Errorf("it is not at %s", want)
	}
}

func TestDatabase_may_have_any_name(t *testing.T) {
	t.Parallel()
	c := config(t, newDir(t))
	c.Brokers = []string{"127.0.0.1:1"}
	stack := start(t, c)
	for _, name := range []string{`a"b`, `x"; DROP DATABASE template1; --`, "a/b?c#d%e@f g", "ä'ö"} {
		address, err := stack.Database(within(t), name)
		if err != nil {
			t.Fatal(err)
		}
		pool, err := stack.Pool(within(t), name)
		if err != nil {
			t.Fatal(err)
		}
		var byAddress, byPool string
		err = connect(t, address).QueryRow(within(t), `SELECT current_database()`).Scan(&byAddress)
		if poolErr := pool.QueryRow(within(t), `SELECT current_database()`).Scan(&byPool); err != nil || poolErr != nil || byAddress != name || byPool != name {
			t.Errorf("%q is %q, %v and %q, %v", name, byAddress, err, byPool, poolErr)
		}
		pool.Close()
	}
	if _, err := stack.Database(within(t), ""); err == nil {
		t.Error("a database has no name")
	}
}

func TestStart_that_was_killed_while_it_made_the_data_begins_again(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	half := filepath.Join(dir, "postgres", "init-1", "data")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(half, "PG_VERSION"), filepath.Join(dir, "postgres", "password")} {
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := config(t, dir)
	c.Brokers = []string{"127.0.0.1:1"}
	start(t, c)
	if left, err := filepath.Glob(filepath.Join(dir, "postgres", "init-*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestData_without_its_password_or_its_version_is_refused_and_kept(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	c := config(t, dir)
	c.Brokers = []string{"127.0.0.1:1"}
	stop(t, start(t, c))
	for _, name := range []string{"password", filepath.Join("data", "PG_VERSION")} {
		path := filepath.Join(dir, "postgres", name)
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, c, filepath.Join(dir, "postgres"), "move")
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
	}
	start(t, c)
}
