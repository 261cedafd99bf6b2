package registry

import (
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
	"github.com/asof-dev/asof/es/schema/avro"
	"github.com/asof-dev/asof/es/schema/jsonschema"
	"github.com/asof-dev/asof/es/schema/protobuf"
)

// rules of a language: whether the newer of two schemas reads what the older wrote, and the
// other way round.
type rules struct{ backward, forward schema.CanRead }

func rulesOf(kind string) (rules, error) {
	switch schema.Kind(kind) {
	case schema.Avro:
		return rules{avro.CanRead, avro.CanRead}, nil
	case schema.Protobuf:
		return rules{protobuf.CanRead, protobuf.CanReadNewer}, nil
	case schema.JSON:
		return rules{jsonschema.CanRead, jsonschema.CanRead}, nil
	}
	return rules{}, &failure{fmt.Sprintf("kind %.40q: give AVRO, PROTOBUF or JSON", kind), es.ErrInvalid}
}

// Former is a contract that is out there: payloads are written by it, and read.
type Former struct {
	// Version is its number, as people know it.
	Version  int
	Contract es.Contract
}

// compare lists what a contract breaks of what it owes to the former ones, oldest first. It
// fails when one of them is no schema.
func compare(next es.Contract, former []Former, c Compatibility) ([]Finding, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	r, err := rulesOf(next.Kind)
	if err != nil {
		return nil, err
	}
	if _, err := r.backward(next.Text, next.Text); err != nil { // also where there is nothing to compare it with
		return nil, err
	}
	backward, forward, all := c.parts()
	if !all {
		former = former[max(0, len(former)-1):]
	}
	var found []Finding
	for _, f := range former {
		here, err := r.against(next, f, backward, forward)
		if err != nil {
			return nil, fmt.Errorf("against version %d: %w", f.Version, err)
		}
		found = append(found, here...)
	}
	return found, nil
}

func (r rules) against(next es.Contract, f Former, backward, forward bool) ([]Finding, error) {
	if !backward && !forward {
		return nil, nil
	}
	if next.Kind != f.Contract.Kind {
		says := fmt.Sprintf("became %s (it was %s)", next.Kind, f.Contract.Kind)
		return []Finding{{Version: f.Version, Forward: !backward, Problem: schema.Problem{Says: says, Cure: "take another subject, or type"}}}, nil
	}
	var found []Finding
	if backward {
		problems, err := r.backward(next.Text, f.Contract.Text)
		if err != nil {
			return nil, err
		}
		found = append(found, findings(f.Version, false, problems)...)
	}
	if forward {
		problems, err := r.forward(f.Contract.Text, next.Text)
		if err != nil {
			return nil, err
		}
		found = append(found, findings(f.Version, true, problems)...)
	}
	return found, nil
}
