package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every `go run ./…` that a document shows is a command with those flags: its help
// says so.
func TestCommands_that_are_shown_exist(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile(`(?m)^\s*go run (\./\S+)(.*)$`)
	built := make(map[string]string)
	for path, text := range documents(t) {
		for _, m := range shown.FindAllStringSubmatch(text, -1) {
			program, words := m[1], strings.Fields(strings.Split(m[2], "#")[0])
			if built[program] == "" {
				built[program] = build(t, program)
			}
			if problem := check(t, built[program], words); problem != "" {
				t.Errorf("%s: %s: %s", path, strings.TrimSpace(m[0]), problem)
			}
		}
	}
	if len(built) == 0 {
		t.Error("no document shows a command")
	}
}

func build(t *testing.T, program string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(program))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, program)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, out)
	}
	return binary
}

func check(t *testing.T, binary string, words []string) (problem string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, append(words, "--help")...).CombinedOutput()
	help := string(out)
	if err != nil {
		return err.Error() + "\n" + help
	}
	_, usage, _ := strings.Cut(help, "Usage:\n  ")
	path := strings.Fields(usage)
	for i, word := range words {
		found := i+1 < len(path) && path[i+1] == word
		if !found && !strings.HasPrefix(word, "-") && strings.Contains(help, "[command]") {
			return "there is no command " + word
		}
		if name, _, _ := strings.Cut(word, "="); strings.HasPrefix(name, "-") && !strings.Contains(help, name+" ") {
			return "it has no flag " + name
		}
	}
	return ""
}
