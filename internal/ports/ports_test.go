package ports_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/internal/ports"
)

func TestPort_is_remembered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "port")
	if port, err := ports.Read(file); port != 0 || err != nil {
		t.Errorf("got %d, %v", port, err)
	}
	free, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	if err := ports.Write(file, free); err != nil {
		t.Fatal(err)
	}
	if port, err := ports.Read(file); port != free || err != nil {
		t.Errorf("got %d, %v, and %d was written", port, err, free)
	}
	for _, text := range []string{"", "0", "65536", "x"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if port, err := ports.Read(file); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%q: got %d, %v", text, port, err)
		}
	}
}
