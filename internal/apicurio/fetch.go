package apicurio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/asof-dev/asof/internal/dirlock"
)

const (
	version     = "3.3.3"
	artifact    = "io.apicurio:apicurio-registry-app:" + version + ":tar.gz:all"
	workPattern = "work-*"
)

// program is what runs the registry.
type program struct{ java, app string }

// find returns the program and fetches first what is missing of it. Any number of processes may
// call it at once: one fetches.
func find(ctx context.Context, cache string, logger *slog.Logger) (program, error) {
	home := filepath.Join(cache, "apicurio-"+version)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return program{}, err
	}
	lock, err := dirlock.Wait(ctx, home)
	if err != nil {
		return program{}, err
	}
	defer lock.Release()
	java, err := findJava(ctx, home, logger)
	if err != nil {
		return program{}, err
	}
	app := filepath.Join(home, "app")
	if _, err := os.Stat(app); err == nil {
		return program{java, app}, nil
	}
	logger.InfoContext(ctx, "fetching Apicurio Registry, once", "version", version, "into", home)
	if err := into(app, func(work string) error { return fetchApp(ctx, work) }); err != nil {
		return program{}, fmt.Errorf("fetching Apicurio Registry %s: %w", version, err)
	}
	return program{java, app}, nil
}

// into lets fetch fill a directory and renames what it has made, whose name is "out", so that
// dir is whole or absent. It is called under the lock.
func into(dir string, fetch func(work string) error) (err error) {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), workPattern))
	if err != nil {
		return err
	}
	for _, path := range left { // of an interrupted fetch
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), workPattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := fetch(work); err != nil {
		return err
	}
	return os.Rename(filepath.Join(work, "out"), dir)
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>asof</groupId>
  <artifactId>apicurio</artifactId>
  <version>1</version>
</project>
`

// fetchApp lets Maven copy the distribution, and unpacks it.
func fetchApp(ctx context.Context, work string) error {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf(`there is no Maven (%w) and it is needed once: install it, for example with "sudo apt-get install maven"`, err)
	}
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), []byte(pom), 0o600); err != nil {
		return err
	}
	// A checksum that does not match is an error, not a warning.
	cmd := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "--strict-checksums",
		"dependency:copy", "-Dartifact="+artifact, "-DoutputDirectory=packed")
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: it needs Maven Central, or a mirror of it in Maven's settings: %s", err, lastLines(string(out)))
	}
	packed, err := filepath.Glob(filepath.Join(work, "packed", "*.tar.gz"))
	if err != nil || len(packed) != 1 {
		return fmt.Errorf("maven copied %d archives: %w", len(packed), err)
	}
	return untar(packed[0], filepath.Join(work, "out"))
}
