package embedded_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func TestStack_keeps_data_and_addresses_across_a_restart(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	begin := time.Now()
	first := start(t, config(t, dir))
	t.Logf("the first start in a directory took %s", time.Since(begin))
	conn := connect(t, first.DatabaseURL())
	execute(t, conn, `CREATE TABLE kept AS SELECT 42 AS n`)
	kafka := dial(t, first.Brokers())
	kafka.create("orders")
	if err := kafka.produce("orders", "placed"); err != nil {
		t.Fatal(err)
	}
	kafka.commit("readers", "orders", 1)
	stop(t, first)

	begin = time.Now()
	second := start(t, config(t, dir))
	t.Logf("a warm start took %s", time.Since(begin))
	if second.DatabaseURL() != first.DatabaseURL() || !slices.Equal(second.Brokers(), first.Brokers()) {
		t.Errorf("the addresses are %s and %v, and were %s and %v",
			second.DatabaseURL(), second.Brokers(), first.DatabaseURL(), first.Brokers())
	}
	if !numbers(t, second.DatabaseURL())[42] {
		t.Error("the row is gone")
	}
	kafka = dial(t, second.Brokers())
	if !kafka.values("orders")["placed"] {
		t.Error("the message is gone")
	}
	if got := kafka.committed("readers", "orders"); got != 1 {
		t.Errorf("the group's offset is %d, not 1", got)
	}
}

func TestStack_takes_other_ports_when_its_own_are_taken(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	first := start(t, config(t, dir))
	postgres, err := url.Parse(first.DatabaseURL())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, first)
	for _, address := range []string{postgres.Host, first.Brokers()[0]} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}

	second := start(t, config(t, dir))
	if second.DatabaseURL() == first.DatabaseURL() || slices.Equal(second.Brokers(), first.Brokers()) {
		t.Errorf("the addresses are still %s and %v", second.DatabaseURL(), second.Brokers())
	}
	connect(t, second.DatabaseURL())
}

func TestStack_refuses_a_port_that_was_asked_for_and_is_taken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := config(t, newDir(t))
	c.DatabaseURL = "postgres://unused"
	c.KafkaPort = listener.Addr().(*net.TCPAddr).Port
	wantRefusal(t, c, "is taken")
}

func TestDatabase_is_made_once_for_all_who_ask(t *testing.T) {
	t.Parallel()
	stack := start(t, config(t, newDir(t)))
	addresses := make([]string, 8)
	all, ctx := errgroup.WithContext(within(t))
	for i := range addresses {
		all.Go(func() (err error) {
			addresses[i], err = stack.Database(ctx, "orders")
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	if same := slices.Compact(addresses); len(same) != 1 {
		t.Fatalf("there are %d addresses: %v", len(same), same)
	}
	var name string
	if err := connect(t, addresses[0]).QueryRow(within(t), `SELECT current_database()`).Scan(&name); err != nil || name != "orders" {
		t.Errorf("got %q, %v", name, err)
	}
}

func TestData_of_another_major_version_is_refused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	data := filepath.Join(dir, "postgres", "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, config(t, dir), "was made by PostgreSQL 9", "ASOF_PG_BIN")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err != nil {
		t.Errorf("the data was touched: %v", err)
	}
}
