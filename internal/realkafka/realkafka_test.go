package realkafka_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/internal/realkafka"
)

// What is missing is named, with what to install. (That the brokers run is what
// every test on them shows.)
func TestMissing_programs_are_named(t *testing.T) {
	for _, c := range []struct {
		name string
		java string // its version; empty: there is none
		want []string
	}{
		{"no Java", "", []string{"there is no Java", "version 17 or later", "openjdk-17-jre-headless", "JAVA_HOME"}},
		{"old Java", "11.0.2", []string{"is Java 11", "version 17 or later", "openjdk-17-jre-headless"}},
		{"very old Java", "1.8.0_292", []string{"is Java 1 "}},
		{"no Maven", "17.0.15", []string{"there is no Maven", "apt-get install maven"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", path(t, c.java))
			t.Setenv("JAVA_HOME", "")
			cluster, err := realkafka.Start(t.Context(), realkafka.Config{CacheDir: t.TempDir()})
			if err == nil {
				t.Fatal("it was started", cluster.Close())
			}
			for _, part := range append(c.want, "realkafka: ") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
		})
	}
}

func TestJava_names_the_compiler_that_a_JRE_lacks(t *testing.T) {
	t.Setenv("PATH", path(t, "17.0.15"))
	t.Setenv("JAVA_HOME", "")
	_, err := realkafka.Java(t.Context(), realkafka.Config{CacheDir: t.TempDir()}, nil, "testdata/Reader.java")
	for _, part := range []string{"realkafka: ", "has no compiler and Reader.java needs one", "openjdk-17-jdk-headless"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

// path is a directory with a java that prints its version, or without one.
func path(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	if version == "" {
		return dir
	}
	script := fmt.Sprintf("#!/bin/sh\necho 'openjdk version \"%s\"' >&2\n", version)
	if err := os.WriteFile(filepath.Join(dir, "java"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
