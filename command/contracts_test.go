package command_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
)

// contracted is a service that has one contract, whose total is of a type.
func contracted(total string) command.Service {
	text := fmt.Sprintf(`{"type":"record","name":"Booked","fields":[{"name":"total","type":%q}]}`, total)
	return command.Service{Name: "ledger", Contracts: []registry.Declared{{
		Type: "ledger.booked", Schema: 3, Subject: registry.ByTopic("ledger"),
		Contract: es.Contract{Kind: "AVRO", Fingerprint: "1", Text: text},
	}}}
}

// runs is a command's exit code and all that it printed.
func runs(t *testing.T, s command.Service, env map[string]string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := command.Run(t.Context(), command.New(s), command.Invocation{Args: append([]string{"contracts"}, args...), Env: env, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out})
	return code, out.String()
}

func TestContracts_by_files_and_git(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "contracts")
	for _, step := range []struct {
		total string
		args  []string
		git   string
		code  int
		want  []string
	}{
		{"int", []string{"check", "--files", dir}, "", 2, []string{"there is no directory"}},
		{"int", []string{"write", "--files", dir}, "init -q", 0, []string{"new     ledger.booked version 3\n"}},
		{"int", []string{"check", "--files", dir}, "add -A", 0, []string{"ok      ledger.booked version 3\n"}},
		{"long", []string{"check", "--files", dir, "--compatibility", "forward"}, "-c user.name=Ann -c user.email=ann@example.com commit -qm one", 1, []string{
			"breaks  ledger.booked version 3: field total became long (it was int): consumers with version 3 cannot read it: add a new field\n",
			"the contracts have 1 problem: do not merge or deploy this before that is mended",
		}},
		{"string", []string{"write", "--files", dir}, "", 1, []string{"nothing is written: mend that, or raise the type's EventSchema"}},
		{"string", []string{"write", "--files", dir, "--compatibility", "none"}, "", 0, []string{"ok "}},
		{"string", []string{"check", "--files", dir}, "", 0, []string{"ok "}},
		{"string", []string{"check", "--files", dir, "--git", "HEAD"}, "", 1, []string{"field total became string (it was int)"}},
		{"string", []string{"check", "--files", dir, "--git", "no-such"}, "", 2, []string{`git has no revision "no-such": fetch it first`}},
	} {
		code, out := runs(t, contracted(step.total), nil, step.args...)
		if code != step.code {
			t.Errorf("%v: exit code %d: %s", step.args, code, out)
		}
		for _, want := range step.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: it does not say %q:\n%s", step.args, want, out)
			}
		}
		if step.git != "" {
			if said, err := exec.Command("git", append([]string{"-C", root}, strings.Fields(step.git)...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
		}
	}
	code, out := runs(t, contracted("int"), nil, "check", "--files", dir, "--output", "json")
	var report struct {
		OK        bool `json:"ok"`
		Contracts []struct {
			Problems []struct {
				Text string `json:"text"`
			} `json:"problems"`
		} `json:"contracts"`
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&report); err != nil || code != 1 || report.OK || !strings.Contains(report.Contracts[0].Problems[0].Text, "became int") {
		t.Error(code, out, err)
	}
}

func TestContracts_of_a_registry(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	former := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, r.Method+" "+r.Header.Get("Authorization"))
		body, _ := io.ReadAll(r.Body)
		switch path := r.Method + r.URL.Path; {
		case path == "POST/subjects/ledger-value/versions":
			_, _ = io.WriteString(w, `{"id": 41}`)
		case path == "GET/subjects/ledger-value/versions" && former != "":
			_, _ = io.WriteString(w, `[1]`)
		case path == "GET/subjects/ledger-value/versions/1":
			_ = json.NewEncoder(w).Encode(map[string]any{"version": 1, "id": 40, "schema": former})
		default:
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(map[string]any{"error_code": 40401, "message": len(body)})
		}
	}))
	defer server.Close()
	env := map[string]string{"SCHEMA_REGISTRY_URL": server.URL, "SCHEMA_REGISTRY_TOKEN": "hunter2"}
	for _, args := range [][]string{{"check"}, {"register"}} {
		if code, out := runs(t, contracted("int"), env, args...); code != 0 || args[0] == "register" && out != "ledger.booked version 3 has the id 41, as ledger-value\n" {
			t.Error(code, out)
		}
	}
	if told[0] != "POST Bearer hunter2" {
		t.Error(told)
	}
	former, told = contracted("int").Contracts[0].Contract.Text, nil
	for _, args := range [][]string{{"check"}, {"register"}} {
		if code, out := runs(t, contracted("string"), env, args...); code != 1 || !strings.Contains(out, "what was written by version 1 cannot be read") {
			t.Error(code, out)
		}
	}
	if len(told) != 6 { // for each command the look-up, the list and the version
		t.Error("it was asked", told)
	}
	server.Close()
	if code, out := runs(t, contracted("int"), env, "register"); code != command.ExitUnreachable || strings.Contains(out, "hunter2") {
		t.Error(code, out)
	}
}

func TestContracts_that_are_asked_for_wrongly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{[]string{"check"}, nil, "--registry URL or SCHEMA_REGISTRY_URL"},
		{[]string{"register"}, nil, "--registry URL or SCHEMA_REGISTRY_URL"},
		{[]string{"write"}, nil, "--files DIR"},
		{[]string{"check", "--files", "a", "--registry", "http://b"}, nil, "not both"},
		{[]string{"check", "--git", "main"}, nil, "by --files"},
		{[]string{"check", "--files", "a", "--compatibility", "sideward"}, nil, "give none, backward"},
		{[]string{"check", "--registry", "http://ann:hunter2@b"}, nil, "has a login in it"},
		{[]string{"check", "--registry", "http://b"}, map[string]string{"SCHEMA_REGISTRY_CA": file}, "has no certificate"},
		{[]string{"check", "--registry", "http://b"}, map[string]string{"SCHEMA_REGISTRY_CA": file + "x"}, "SCHEMA_REGISTRY_CA: open"},
	} {
		if code, out := runs(t, contracted("int"), c.env, c.args...); code != command.ExitUsage || !strings.Contains(out, c.want) || strings.Contains(out, "hunter2") {
			t.Error(c.args, code, out)
		}
	}
	if code, out := runs(t, command.Service{Name: "ledger"}, nil, "check"); code != command.ExitNotFound || !strings.Contains(out, "declares no contracts") {
		t.Error(code, out)
	}
}
