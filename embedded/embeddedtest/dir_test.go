package embeddedtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
)

func TestServer_lives_where_it_is_told_to(t *testing.T) {
	dir, err := os.MkdirTemp("", "asof-test-dir-*") //nolint:usetesting // the server's user may not enter that of the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	given := filepath.Join(dir, "made")
	t.Setenv("ASOF_TEST_DIR", given)
	server := embeddedtest.Server(t)
	run(t, server.URL(), makeNotes, note1)
	if !strings.HasPrefix(server.Dir(), given+string(filepath.Separator)) {
		t.Errorf("the server is in %s, want it below %s", server.Dir(), given)
	}

	t.Setenv("ASOF_TEST_DIR", "made")
	if _, err := embeddedtest.Abandon(t.Context()); err == nil || !strings.Contains(err.Error(), "ASOF_TEST_DIR=made is no absolute path") {
		t.Errorf("a relative path: %v", err)
	}
}
