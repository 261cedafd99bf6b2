package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/asof-dev/asof/es"
)

// Declared is a contract of a program.
type Declared struct {
	// Type and Schema are the event's type, and the schema version that it has now.
	Type   string
	Schema int
	// Subject in the registry: [ByTopic], [ByRecord] or [ByTopicAndRecord]. Files need none.
	Subject string
	// Contract is what the program writes by.
	Contract es.Contract
}

// Base has the contracts that are out there: a [Client], [Files] or [Git].
type Base interface {
	// Former returns those that a declared one is held to, oldest first.
	Former(ctx context.Context, d Declared) ([]Former, error)
}

// Report is what a check has found.
type Report struct {
	OK       bool      `json:"ok"`
	Verdicts []Verdict `json:"contracts"`
}

// Verdict is what a check has found of one contract.
type Verdict struct {
	Type     string    `json:"type"`
	Schema   int       `json:"schema"`
	Subject  string    `json:"subject,omitempty"`
	New      bool      `json:"new"` // there is no former one
	Findings []Finding `json:"problems"`
}

// Check compares each declared contract with its former versions, for a verdict before it is
// merged or deployed. It fails when a contract is none, or the base cannot be read.
func Check(ctx context.Context, declared []Declared, base Base, c Compatibility) (Report, error) {
	report := Report{OK: true, Verdicts: []Verdict{}}
	if err := distinct(declared); err != nil {
		return report, err
	}
	for _, d := range declared {
		former, err := base.Former(ctx, d)
		if err != nil {
			return report, err
		}
		found, err := compare(d.Contract, former, c)
		if err != nil {
			return report, &failure{fmt.Sprintf("%s version %d: %s", d.Type, d.Schema, bare(err)), es.ErrInvalid}
		}
		v := Verdict{Type: d.Type, Schema: d.Schema, Subject: d.Subject, New: len(former) == 0, Findings: append([]Finding{}, found...)}
		report.Verdicts = append(report.Verdicts, v)
		report.OK = report.OK && len(found) == 0
	}
	return report, nil
}

// distinct refuses what would be checked, or written, as another.
func distinct(declared []Declared) error {
	seen := map[string]bool{}
	for _, d := range declared {
		if d.Type == "" || d.Schema < 1 {
			return &failure{fmt.Sprintf("contract %.40q version %d: give a type, and a schema version from 1", d.Type, d.Schema), es.ErrInvalid}
		}
		if name := baseName(d); seen[name] {
			return &failure{fmt.Sprintf("%s is declared twice: each type and schema version has one contract", name), es.ErrInvalid}
		}
		seen[baseName(d)] = true
	}
	return nil
}

// Problems counts what was found.
func (r Report) Problems() int {
	n := 0
	for _, v := range r.Verdicts {
		n += len(v.Findings)
	}
	return n
}

// WriteText writes a line for each problem and for each contract that has none.
func (r Report) WriteText(w io.Writer) error {
	for _, v := range r.Verdicts {
		name := fmt.Sprintf("%s version %d", v.Type, v.Schema)
		if len(v.Findings) == 0 {
			state := "ok"
			if v.New {
				state = "new"
			}
			if _, err := fmt.Fprintf(w, "%-7s %s\n", state, name); err != nil {
				return err
			}
		}
		for _, f := range v.Findings {
			if _, err := fmt.Fprintf(w, "%-7s %s: %s\n", "breaks", name, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func marshalFinding(f Finding) ([]byte, error) {
	_, cure := f.words()
	direction := "backward"
	if f.Forward {
		direction = "forward"
	}
	return json.Marshal(struct {
		Version   int    `json:"version"`
		Direction string `json:"direction"`
		Path      string `json:"path"`
		Cure      string `json:"cure"`
		Text      string `json:"text"`
	}{f.Version, direction, f.Problem.Path, cure, f.String()})
}

// Former returns the versions of the subject; of a contract that is registered, that alone.
func (c *Client) Former(ctx context.Context, d Declared) ([]Former, error) {
	version, _, err := c.find(ctx, d.Subject, d.Contract)
	if err != nil {
		return nil, err
	}
	if version != absent {
		return []Former{{version, d.Contract}}, nil
	}
	return c.Versions(ctx, d.Subject)
}

func isUnknown(err error) bool { return errors.Is(err, es.ErrUnknownContract) }
