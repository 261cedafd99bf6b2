package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
)

func declared(eventType string, version int, kind, text string) registry.Declared {
	return registry.Declared{Type: eventType, Schema: version, Subject: orderSubject, Contract: contract(kind, text)}
}

// checked is the report as people see it.
func checked(t *testing.T, base registry.Base, c registry.Compatibility, d ...registry.Declared) string {
	t.Helper()
	report, err := registry.Check(t.Context(), d, base, c)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Error(err)
	}
	if report.OK != !strings.Contains(text.String(), "breaks") || report.OK != (report.Problems() == 0) {
		t.Errorf("ok %t, %d problems: %s", report.OK, report.Problems(), text.String())
	}
	return text.String()
}

func TestFiles_that_one_version_writes_the_next_is_checked_against(t *testing.T) {
	t.Parallel()
	for _, l := range languages() {
		t.Run(l.kind, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "contracts")
			v1 := declared("shop/order:placed", 1, l.kind, l.text)
			if report, err := registry.Write(t.Context(), dir, []registry.Declared{v1}, ""); err != nil || !report.OK || !report.Verdicts[0].New {
				t.Fatal(report, err)
			}
			files := registry.Files(dir)
			if got, want := checked(t, files, "", v1), "ok      shop/order:placed version 1\n"; got != want {
				t.Error(cmp.Diff(want, got))
			}
			v1.Contract = contract(l.kind, l.next)
			if got := checked(t, files, "", v1); !strings.HasPrefix(got, "ok ") {
				t.Error(got)
			}
			v1.Contract = contract(l.kind, l.broken)
			got := checked(t, files, "", v1)
			for _, want := range []string{"breaks  shop/order:placed version 1: field total", "string", "what was written by version 1 cannot be read"} {
				if !strings.Contains(got, want) {
					t.Errorf("it does not say %q: %s", want, got)
				}
			}
			v2 := v1
			v2.Schema = 2 // upcasters read the former one
			if got, want := checked(t, files, "", v2), "new     shop/order:placed version 2\n"; got != want {
				t.Error(cmp.Diff(want, got))
			}
			// What breaks is not written, and nothing else of the program either.
			other := declared("a.first", 1, l.kind, l.text)
			if report, err := registry.Write(t.Context(), dir, []registry.Declared{other, v1}, ""); err != nil || report.OK {
				t.Error(report, err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Error("it has written", left)
			}
			if report, err := registry.Write(t.Context(), dir, []registry.Declared{other, v1}, registry.None); err != nil || !report.OK {
				t.Error(report, err)
			}
			if got := checked(t, files, "", other, v1); strings.Count(got, "ok ") != 2 {
				t.Error(got)
			}
			v1.Contract = contract(l.kind, l.text)
			if got := checked(t, files, "", v1, other); !strings.HasPrefix(got, "breaks ") || !strings.HasSuffix(got, "ok      a.first version 1\n") {
				t.Error(got)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "shop%2Forder%3Aplaced.v1.*")); len(left) != 1 {
				t.Error("a name that file systems take:", left)
			}
		})
	}
}

func TestVerdicts_are_words_that_people_understand(t *testing.T) {
	t.Parallel()
	field := func(fields string) string {
		return `{"type":"record","name":"A","fields":[` + fields + `]}`
	}
	const total, note, state = `{"name":"total","type":"int"}`, `{"name":"note","type":"string"}`, `{"name":"state","type":{"type":"enum","name":"S","symbols":["A"]}}`
	for _, c := range []struct {
		former, next  string
		compatibility registry.Compatibility
		want          string
	}{
		{field(total), field(strings.Replace(total, "int", "string", 1)), registry.Forward, "field total became string (it was int): consumers with version 3 cannot read it: add a new field"},
		{field(total), field(strings.Replace(total, "int", "string", 1)), registry.Backward, "field total became string (it was int): what was written by version 3 cannot be read: add a new field"},
		{field(total), field(strings.Replace(total, "int", "long", 1)), registry.Backward, ""},
		{field(total), field(strings.Replace(total, "int", "long", 1)), registry.Full, "field total became long (it was int): consumers with version 3 cannot read it: add a new field"},
		{field(total + "," + note), field(total), registry.ForwardTransitive, "field note is gone, and has no default in version 3: consumers with version 3 cannot read it: keep it"},
		{field(total + "," + note), field(total), registry.Backward, ""},
		{field(total), field(total + "," + note), registry.Backward, "field note is new and has no default: what was written by version 3 cannot be read: give it a default"},
		{field(total), field(total + "," + note), registry.Forward, ""},
		{field(state), field(strings.Replace(state, `"A"`, `"A","B"`, 1)), registry.Forward, "field state has the symbol B, which version 3 does not know: consumers with version 3 cannot read it"},
		{field(state), field(strings.Replace(state, `"A"`, `"A","B"`, 1)), registry.None, ""},
	} {
		base := former{{Version: 3, Contract: contract("AVRO", c.former)}}
		report, err := registry.Check(t.Context(), []registry.Declared{declared("a", 3, "AVRO", c.next)}, base, c.compatibility)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range report.Verdicts[0].Findings {
			got += f.String()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.compatibility, got, c.want)
		}
	}
}

type former []registry.Former

func (f former) Former(context.Context, registry.Declared) ([]registry.Former, error) { return f, nil }

func TestReport_as_JSON(t *testing.T) {
	t.Parallel()
	base := former{{Version: 1, Contract: contract("PROTOBUF", protoText)}}
	report, err := registry.Check(t.Context(), []registry.Declared{declared(orderPlaced, 2, "AVRO", avroText)}, base, registry.Full)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(report)
	want := `{"ok":false,"contracts":[{"type":"order.placed","schema":2,"subject":"orders-value","new":false,"problems":[` +
		`{"version":1,"direction":"backward","path":"","cure":"take another subject, or type","text":"the whole became AVRO (it was PROTOBUF): what was written by version 1 cannot be read: take another subject, or type"}]}]}`
	if err != nil || string(got) != want {
		t.Error(cmp.Diff(want, string(got)), err)
	}
	empty, err := registry.Check(t.Context(), nil, base, registry.Full)
	if text, bad := json.Marshal(empty); err != nil || bad != nil || string(text) != `{"ok":true,"contracts":[]}` {
		t.Error(string(text), err, bad)
	}
}

func TestProtobuf_for_consumers_is_compared_as_the_newer(t *testing.T) {
	t.Parallel()
	base := former{{Version: 1, Contract: contract("PROTOBUF", protoText)}}
	if got := checked(t, base, registry.Full, declared("a", 1, "PROTOBUF", protoNext)); got != "ok      a version 1\n" {
		t.Error(got)
	}
}

func TestChecks_that_cannot_be_made(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"bad.v1.avsc": "{", "two.v1.avsc": avroText, "two.v1.json": jsonText} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := declared("a", 1, "AVRO", avroText)
	for _, c := range []struct {
		base          registry.Base
		d             []registry.Declared
		compatibility registry.Compatibility
		want          string
	}{
		{registry.Files(dir), []registry.Declared{good, good}, "", "a.v1 is declared twice"},
		{registry.Files(dir), []registry.Declared{{Type: "a", Contract: good.Contract}}, "", "schema version from 1"},
		{registry.Files(dir), []registry.Declared{declared("a", 1, "AVRO", "{")}, registry.None, "a version 1: avro: "},
		{registry.Files(dir), []registry.Declared{declared("a", 1, "XML", "{")}, "", "give AVRO, PROTOBUF or JSON"},
		{registry.Files(dir), []registry.Declared{declared("bad", 1, "AVRO", avroText)}, "", "bad version 1: against version 1: avro: "},
		{registry.Files(dir), []registry.Declared{declared("two", 1, "AVRO", avroText)}, "", "as AVRO and as JSON"},
		{registry.Files(filepath.Join(dir, "gone")), []registry.Declared{good}, "", "there is no directory"},
		{registry.Files(dir), []registry.Declared{good}, "SIDEWARD", `compatibility "SIDEWARD"`},
	} {
		_, err := registry.Check(t.Context(), c.d, c.base, c.compatibility)
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, es.ErrInvalid) || strings.Count(err.Error(), "registry: ") != 1 {
			t.Errorf("%q: %v", c.want, err)
		}
	}
	for text, want := range map[string]registry.Compatibility{"full-transitive": registry.FullTransitive, "None": registry.None, "": ""} {
		if got, err := registry.ParseCompatibility(text); err != nil || got != want {
			t.Error(text, got, err)
		}
	}
}

func TestCheck_against_a_registry(t *testing.T) {
	t.Parallel()
	s := subject(t, avroText, avroNext)
	client := newClient(t, registry.Config{URLs: []string{s.URL}})
	for text, want := range map[string]string{
		avroText:   "ok      order.placed version 4\n", // it is registered: nothing would be
		avroBroken: "breaks  order.placed version 4: field total became string (it was long): what was written by version 2 cannot be read: add a new field\n",
	} {
		if got := checked(t, client, registry.Backward, declared(orderPlaced, 4, "AVRO", text)); got != want {
			t.Error(cmp.Diff(want, got))
		}
	}
	if _, err := registry.Check(t.Context(), []registry.Declared{{Type: "a", Schema: 1, Contract: contract("AVRO", avroText)}}, client, ""); !errors.Is(err, es.ErrInvalid) {
		t.Error("there is no subject:", err)
	}
}

// git runs it in a directory, as somebody.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestCheck_against_a_revision_of_git(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "below", "contracts [a-z]")
	git(t, root, "init", "-q", "-b", "main")
	for _, text := range []string{avroText, avroBroken} {
		if _, err := registry.Write(t.Context(), dir, []registry.Declared{declared("shop/a", 1, "AVRO", text)}, registry.None); err != nil {
			t.Fatal(err)
		}
		git(t, root, "add", "-A")
		git(t, root, "commit", "-q", "-m", "one")
	}
	if err := os.WriteFile(filepath.Join(dir, "shop%2Fa.v1.avsc"), []byte("not committed"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := declared("shop/a", 1, "AVRO", avroNext)
	if got := checked(t, registry.Git(dir, "main~1"), "", next, declared("b", 1, "AVRO", avroText)); got != "ok      shop/a version 1\nnew     b version 1\n" {
		t.Error(got)
	}
	if got := checked(t, registry.Git(dir, "HEAD"), "", next); !strings.HasPrefix(got, "breaks  shop/a version 1: field total became long (it was string)") {
		t.Error(got)
	}
	for _, c := range []struct{ dir, revision, want string }{
		{dir, "origin/main", "fetch it first"},
		{dir, "--help", "fetch it first"},
		{dir, "HEAD:below", "fetch it first"},
		{dir, "", "fetch it first"},
		{t.TempDir(), "main", "not a git repository"},
		{filepath.Join(root, "gone"), "main", "gone"},
	} {
		_, err := registry.Check(t.Context(), []registry.Declared{next}, registry.Git(c.dir, c.revision), "")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "registry: ") {
			t.Errorf("%q: %v", c.revision, err)
		}
	}
}
