package realkafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/asof-dev/asof/internal/dirlock"
)

const (
	kafkaVersion = "4.3.1"
	minJava      = 17
	workPattern  = "work-*"
)

// Artifact is a jar by the names that Maven has for it. It comes with all that it
// needs.
type Artifact struct{ Group, Name, Version string }

// broker is what runs a broker, and what it logs by.
func broker() []Artifact {
	return []Artifact{{"org.apache.kafka", "kafka_2.13", kafkaVersion}, {"org.slf4j", "slf4j-simple", "1.7.36"}}
}

// pom names artifacts to Maven, which finds what these need.
func pom(artifacts []Artifact) string {
	var text strings.Builder
	text.WriteString(`<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>asof</groupId>
  <artifactId>jars</artifactId>
  <version>1</version>
  <dependencies>
`)
	for _, a := range artifacts {
		fmt.Fprintf(&text, "    <dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n", a.Group, a.Name, a.Version)
	}
	text.WriteString("  </dependencies>\n</project>\n")
	return text.String()
}

// findJava returns the java of JAVA_HOME, else that of PATH.
func findJava(ctx context.Context) (string, error) {
	name := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		name = filepath.Join(home, "bin", "java")
	}
	const remedy = `install it, for example with "sudo apt-get install openjdk-17-jre-headless", or set JAVA_HOME`
	java, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("there is no Java (%w) and Apache Kafka needs version %d or later: %s", err, minJava, remedy)
	}
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s -version: %w: %s", java, err, strings.TrimSpace(string(out)))
	}
	if major := javaMajor(string(out)); major < minJava {
		return "", fmt.Errorf("%s is Java %d and Apache Kafka needs version %d or later: %s", java, major, minJava, remedy)
	}
	return java, nil
}

// javaMajor reads `openjdk version "17.0.15"` and `java version "1.8.0_292"`
// as 17 and 1, and 0 from what is neither.
func javaMajor(out string) int {
	match := regexp.MustCompile(`version "(\d+)`).FindStringSubmatch(out)
	if match == nil {
		return 0
	}
	major, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return major
}

// findJars returns the directory of the artifacts' jars below cache/name and fetches
// them first when they are missing. Any number of processes may call it at once: one
// fetches.
func findJars(ctx context.Context, cache, name string, artifacts []Artifact, logger *slog.Logger) (string, error) {
	home := filepath.Join(cache, name)
	jars := filepath.Join(home, "jars")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	lock, err := dirlock.Wait(ctx, home)
	if err != nil {
		return "", err
	}
	defer lock.Release()
	if _, err := os.Stat(jars); err == nil {
		return jars, nil
	}
	logger.InfoContext(ctx, "fetching jars, once", "of", artifacts[0].Name, "version", artifacts[0].Version, "into", home)
	if err := fetchJars(ctx, home, jars, artifacts); err != nil {
		return "", fmt.Errorf("fetching %s %s: %w", artifacts[0].Name, artifacts[0].Version, err)
	}
	return jars, nil
}

// fetchJars lets Maven copy the jars into a directory beside jars, and renames
// it into place, so that jars is whole or absent.
func fetchJars(ctx context.Context, home, jars string, artifacts []Artifact) (err error) {
	left, err := filepath.Glob(filepath.Join(home, workPattern))
	if err != nil {
		return err
	}
	for _, dir := range left { // of an interrupted fetch: we hold the lock
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf(`there is no Maven (%w) and it is needed once: install it, for example with "sudo apt-get install maven"`, err)
	}
	work, err := os.MkdirTemp(home, workPattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), []byte(pom(artifacts)), 0o600); err != nil {
		return err
	}
	// A checksum that does not match is an error, not a warning.
	cmd := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "--strict-checksums",
		"dependency:copy-dependencies", "-DoutputDirectory=jars")
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w: %s", err, lastLines(string(out)))
	}
	return os.Rename(filepath.Join(work, "jars"), jars)
}
