package realkafka

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/asof-dev/asof/internal/cachedir"
)

// Java returns the command that runs a Java program of one source file, with the
// artifacts on its class path, so that a test can ask a client that is not ours.
// Their jars are fetched once, as those of Kafka are. The source file needs a JDK.
func Java(ctx context.Context, c Config, artifacts []Artifact, source string, args ...string) (*exec.Cmd, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	cmd, err := javaCommand(ctx, c, artifacts, source, args)
	if err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	return cmd, nil
}

func javaCommand(ctx context.Context, c Config, artifacts []Artifact, source string, args []string) (*exec.Cmd, error) {
	cache, err := cachedir.Dir(c.CacheDir)
	if err != nil {
		return nil, err
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	modules, err := exec.CommandContext(ctx, java, "--list-modules").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list-modules: %w", java, err)
	}
	if !strings.Contains(string(modules), "jdk.compiler@") {
		return nil, fmt.Errorf(`%s has no compiler and %s needs one: install a JDK, for example with "sudo apt-get install openjdk-17-jdk-headless", or set JAVA_HOME`, java, filepath.Base(source))
	}
	name := fmt.Sprintf("jars-%.12x", sha256.Sum256([]byte(pom(artifacts))))
	jars, err := findJars(ctx, cache, name, artifacts, c.Logger)
	if err != nil {
		return nil, err
	}
	plain := program{java: java, jars: jars}.command(source, args...)
	return exec.CommandContext(ctx, plain.Path, plain.Args[1:]...), nil
}
