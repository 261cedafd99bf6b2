package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// quoted says in which directories the code stands that a document shows.
var quoted = map[string][]string{
	"docs/read-side.md": {"projections/"}, "docs/events.md": {"es/", "es/schema/avro/", "es/schema/protobuf/", "services/orders/"}, "docs/getting-started.md": {"es/reactions/"},
	"docs/publishing.md": {"es/mapping/", "projections/"}, "docs/contracts.md": {"es/schema/registry/"},
}

// The code of a guide is that of tests and Examples, to the letter: whole lines of one.
func TestGuides_show_code_that_runs(t *testing.T) {
	t.Parallel()
	all, tests := documents(t), files(t, "_test.go")
	for path, directories := range quoted {
		blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(all[path], -1)
		if len(blocks) == 0 {
			t.Errorf("%s shows no code", path)
		}
		for _, block := range blocks {
			if !slices.ContainsFunc(directories, func(directory string) bool { return stands(tests, directory, block[1]) }) {
				t.Errorf("no test in %v has this code of %s:\n%s", directories, path, block[1])
			}
		}
	}
}

// stands reports that a file of the directory has the code in whole lines.
func stands(tests map[string]string, directory, code string) bool {
	for path, text := range tests {
		if inside, ok := strings.CutPrefix(path, directory); ok && !strings.Contains(inside, "/") && strings.Contains("\n"+text, "\n"+code) {
			return true
		}
	}
	return false
}

// An Example without output is compiled and not run.
func TestExamples_run(t *testing.T) {
	t.Parallel()
	for path, text := range files(t, "_test.go") {
		for function := range strings.SplitSeq(text, "\nfunc ") {
			name, _, _ := strings.Cut(function, "(")
			if strings.HasPrefix(name, "Example") && !strings.Contains(function, "// Output:") && !strings.Contains(function, "// Unordered output:") {
				t.Errorf("%s: %s says no output, so it does not run", path, name)
			}
		}
	}
}
