//go:build unix

package dirs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/asof-dev/asof/internal/dirs"
)

func modes(t *testing.T, want map[string]os.FileMode) {
	t.Helper()
	for path, mode := range want {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s is %v, %v, want %v", path, info.Mode(), err, mode)
		}
	}
}

// A mode that no usual umask lets through shows that the umask does not count.
func TestMake_gives_what_it_makes_the_mode_and_leaves_the_rest(t *testing.T) {
	t.Parallel()
	there := filepath.Join(t.TempDir(), "there")
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(there, "a", "b")
	for range 2 {
		if err := dirs.Make(deep, 0o757); err != nil {
			t.Fatal(err)
		}
		modes(t, map[string]os.FileMode{there: 0o700, filepath.Dir(deep): 0o757, deep: 0o757})
	}
	file := filepath.Join(there, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := dirs.Make(path, 0o755); err == nil {
			t.Errorf("%s was made", path)
		}
	}
}

func TestOpen_lets_everybody_in(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	program, text := filepath.Join(root, "bin", "program"), filepath.Join(root, "text")
	for _, dir := range []string{root, filepath.Dir(program)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{program: 0o700, text: 0o600} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := dirs.Open(root); err != nil {
		t.Fatal(err)
	}
	modes(t, map[string]os.FileMode{root: 0o755, filepath.Dir(program): 0o755, program: 0o755, text: 0o644})
}
