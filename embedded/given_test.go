package embedded_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/embedded"
)

func TestGiven_servers_are_used_and_none_is_started(t *testing.T) {
	t.Parallel()
	theirs := start(t, config(t, newDir(t)))
	c := config(t, filepath.Join(newDir(t), "unused"))
	c.DatabaseURL, c.Brokers = theirs.DatabaseURL(), theirs.Brokers()
	stack := start(t, c)

	if stack.PostgresPID() != 0 || stack.PostgresDone() != nil {
		t.Errorf("a server was started, process %d", stack.PostgresPID())
	}
	if stack.DatabaseURL() != c.DatabaseURL || !slices.Equal(stack.Brokers(), c.Brokers) {
		t.Errorf("the addresses are %s and %v", stack.DatabaseURL(), stack.Brokers())
	}
	if _, err := os.Stat(c.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was made: %v", c.Dir, err)
	}
	address, err := stack.Database(within(t), "orders")
	if err != nil {
		t.Fatal(err)
	}
	connect(t, address)
	stop(t, stack)
	connect(t, c.DatabaseURL) // still runs
}

func TestDirectory_in_use_is_refused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	stack := start(t, config(t, dir))
	for _, part := range []struct {
		name string
		c    func(*embedded.Config)
	}{
		{"postgres", func(c *embedded.Config) { c.Brokers = []string{"127.0.0.1:1"} }},
		{"kafka", func(c *embedded.Config) { c.DatabaseURL = "postgres://unused" }},
	} {
		c := config(t, dir)
		part.c(&c)
		wantRefusal(t, c, filepath.Join(dir, part.name)+" is in use by process "+strconv.Itoa(os.Getpid()))
	}
	connect(t, stack.DatabaseURL()) // the first one goes on
	dial(t, stack.Brokers()).create("orders")
}

func TestConfig_is_what_the_environment_asks_for(t *testing.T) {
	for name, value := range map[string]string{
		"ASOF_DIR": "/data", "DATABASE_URL": "postgres://db", "KAFKA_BROKERS": " a:1,, b:2 ",
		"ASOF_PG_BIN": "/bin", "ASOF_CACHE": "/cache", "ASOF_PG_REPOSITORY": "http://maven",
	} {
		t.Setenv(name, value)
	}
	want := embedded.Config{
		Dir: "/data", DatabaseURL: "postgres://db", Brokers: []string{"a:1", "b:2"},
		PostgresBin: "/bin", CacheDir: "/cache", Repository: "http://maven",
	}
	if diff := cmp.Diff(want, embedded.FromEnv()); diff != "" {
		t.Error(diff)
	}
}

// wantRefusal wants a start to fail with an error that says all of parts.
func wantRefusal(t *testing.T, c embedded.Config, parts ...string) {
	t.Helper()
	stack, err := embedded.Start(within(t), c)
	if err == nil {
		stop(t, stack)
		t.Fatal("it was started")
	}
	for _, part := range append(parts, "embedded: ") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}
