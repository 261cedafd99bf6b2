package pgbin

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// SystemDirs lists where the system's own PostgreSQL may be: the directory of
// the postgres on PATH, Debian's and Red Hat's places, Homebrew, Windows.
func SystemDirs() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		filepath.Join(os.Getenv("ProgramFiles"), "PostgreSQL", "*", "bin"),
	} {
		found, err := filepath.Glob(pattern)
		if err == nil { // only a malformed pattern fails
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

// newest is the usable directory of the highest major version, or of the one that is
// asked for.
func (f Finder) newest(ctx context.Context) (best Install, ok bool) {
	for _, dir := range f.System {
		found, err := Inspect(ctx, dir)
		if err == nil && found.Major > best.Major && (f.Major == 0 || found.Major == f.Major) {
			best, ok = found, true
		}
	}
	return best, ok
}

// installCommand is the one command that installs PostgreSQL on this system.
func installCommand() string {
	switch runtime.GOOS {
	case "darwin":
		return "brew install postgresql@18"
	case "windows":
		return "winget install PostgreSQL.PostgreSQL.18"
	}
	for _, manager := range []struct{ file, command string }{
		{"/usr/bin/apt-get", "sudo apt-get install postgresql"},
		{"/usr/bin/dnf", "sudo dnf install postgresql-server"},
		{"/sbin/apk", "sudo apk add postgresql18"},
		{"/usr/bin/pacman", "sudo pacman -S postgresql"},
	} {
		if _, err := os.Stat(manager.file); err == nil {
			return manager.command
		}
	}
	return "sudo apt-get install postgresql"
}
