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

	"github.com/asof-dev/asof/embedded/internal/dirlock"
)

const (
	kafkaVersion = "4.3.1"
	minJava      = 17
	workPattern  = "work-*"
)

// pom names the jars of a broker; Maven finds what these need.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>asof</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>` + kafkaVersion + `</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`

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

// findJars returns the directory of the jars below cache and fetches them first
// when they are missing. Any number of processes may call it at once: one
// fetches.
func findJars(ctx context.Context, cache string, logger *slog.Logger) (string, error) {
	home := filepath.Join(cache, "kafka-"+kafkaVersion)
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
	logger.InfoContext(ctx, "fetching Apache Kafka, once", "version", kafkaVersion, "into", home)
	if err := fetchJars(ctx, home, jars); err != nil {
		return "", fmt.Errorf("fetching Apache Kafka %s: %w", kafkaVersion, err)
	}
	return jars, nil
}

// fetchJars lets Maven copy the jars into a directory beside jars, and renames
// it into place, so that jars is whole or absent.
func fetchJars(ctx context.Context, home, jars string) (err error) {
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
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), []byte(pom), 0o600); err != nil {
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
