package cachedir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/internal/cachedir"
)

func TestDir_that_cannot_be_made_is_an_error(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if dir, err := cachedir.Dir(filepath.Join(file, "cache")); err == nil {
		t.Errorf("got %s", dir)
	}
	dir, err := cachedir.Dir(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil || !strings.HasSuffix(dir, filepath.Join("a", "b")) {
		t.Errorf("got %s, %v", dir, err)
	}
}
