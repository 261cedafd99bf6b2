package registry

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/asof-dev/asof/es/schema"
)

// Finding is one way in which a contract breaks what it owes to a former version.
type Finding struct {
	// Version of the former contract.
	Version int
	// Forward: consumers with the former contract cannot read what the new one writes. Else
	// the new one cannot read what the former wrote.
	Forward bool
	// Problem is the matter. Of one that is Forward, the reader is the former contract.
	Problem schema.Problem
}

func findings(version int, forward bool, problems []schema.Problem) []Finding {
	var found []Finding
	for _, p := range problems {
		found = append(found, Finding{Version: version, Forward: forward, Problem: p})
	}
	return found
}

// String is the finding in one line, in the words of the one who changed the contract.
func (f Finding) String() string {
	who := fmt.Sprintf("what was written by version %d cannot be read", f.Version)
	if f.Forward {
		who = fmt.Sprintf("consumers with version %d cannot read it", f.Version)
	}
	says, cure := f.words()
	if cure != "" {
		cure = ": " + cure
	}
	return says + ": " + who + cure
}

var becameAnother = regexp.MustCompile(`^became (.+) \(it was ([^()]+)\)`)

// words are those of the problem, turned round where the reader is the former contract: what is
// new to it is what has gone.
func (f Finding) words() (says, cure string) {
	p := f.Problem
	if !f.Forward {
		cure, p.Cure = p.Cure, ""
		return p.String(), cure
	}
	cure, p.Cure = p.Cure, ""
	became := becameAnother.FindStringSubmatch(p.Says)
	switch {
	case became != nil:
		p.Says = fmt.Sprintf("became %s (it was %s)", became[2], became[1])
	case strings.HasPrefix(p.Says, "is new and has no default"):
		p.Says = fmt.Sprintf("is gone, and has no default in version %d", f.Version)
		cure = "keep it"
	case strings.HasPrefix(p.Says, "lost "):
		lost, _, _ := strings.Cut(strings.TrimPrefix(p.Says, "lost "), ":")
		p.Says, cure = fmt.Sprintf("has %s, which version %d does not know", lost, f.Version), ""
	default:
		return "to the former contract, " + p.String(), ""
	}
	return p.String(), cure
}

// MarshalJSON has the finding as a program reads it, and the line for people.
func (f Finding) MarshalJSON() ([]byte, error) { return marshalFinding(f) }
