package embeddedtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
)

// The directory of a server that a test has stopped was taken for one of a process that
// has ended, when another process swept.
func TestSweep_leaves_stopped_servers_and_backups_of_living_tests(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	run(t, server.URL(), makeNotes, note1)
	server.Stop()
	backup := server.Backup()
	abandoned, err := embeddedtest.Abandon(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, dir := range []string{abandoned, server.Dir(), backup.Dir()} {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := embeddedtest.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(abandoned); !os.IsNotExist(err) {
		t.Errorf("%s is left of an ended process: %v", abandoned, err)
	}
	server.Restart()
	wants(t, server.URL(), noted, "1")
	wants(t, backup.Server(t).URL(), noted, "1")
}
