// Package docs_test holds the documents to the code: what they show compiles and
// runs, and what they point to is there.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

// documents are all Markdown files of the repository, by path from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := files(t, ".md")
	if found["README.md"] == "" || found["CHANGELOG.md"] == "" {
		t.Fatal("README.md or CHANGELOG.md is missing")
	}
	return found
}

// files are the texts of the repository's files whose names end in suffix.
func files(t *testing.T, suffix string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, suffix) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, path)
		found[filepath.ToSlash(inside)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The code of the README is that of readme_code_test.go, to the letter.
func TestReadme_shows_the_code_that_runs(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile("readme_code_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(documents(t)["README.md"], -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no code")
	}
	for _, block := range blocks {
		if !strings.Contains(string(code), block[1]) {
			t.Errorf("readme_code_test.go does not have this code of the README:\n%s", block[1])
		}
	}
}

func TestLinks_lead_to_files_that_exist(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code := regexp.MustCompile("(?s)```.*?```")
	for path, text := range documents(t) {
		text = code.ReplaceAllString(text, "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(path), target)); err != nil {
				t.Errorf("%s: link to %s: %v", path, target, err)
			}
		}
	}
}

// A test that a document names beside a link is in the file, or in the directory,
// that the link leads to; one that is named alone is anywhere.
func TestTests_that_are_named_exist(t *testing.T) {
	t.Parallel()
	tests := files(t, "_test.go")
	linked := regexp.MustCompile("\\[`((?:Test|Example)\\w+)`\\]\\(([^)\\s]+)\\)")
	named := regexp.MustCompile("`((?:Test|Example)[A-Z]\\w+)`")
	has := func(name, below string) bool {
		for path, text := range tests {
			if strings.HasPrefix(path, below) && strings.Contains(text, "func "+name+"(") {
				return true
			}
		}
		return false
	}
	for path, text := range documents(t) {
		for _, m := range linked.FindAllStringSubmatch(text, -1) {
			if below := filepath.ToSlash(filepath.Join(filepath.Dir(path), m[2])); !has(m[1], below) {
				t.Errorf("%s: %s is not in %s", path, m[1], below)
			}
		}
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !has(m[1], "") {
				t.Errorf("%s: there is no %s", path, m[1])
			}
		}
	}
}

// Every `make x` is a target.
func TestTargets_that_are_named_exist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z/]+):`).FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	mention := regexp.MustCompile("(?m)(?:`|^)make ([a-z/]+)")
	for path, text := range documents(t) {
		for _, m := range mention.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(targets, m[1]) {
				t.Errorf("%s: make %s is not a target of the Makefile", path, m[1])
			}
		}
	}
}
