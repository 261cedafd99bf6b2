package jsonschema

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	foreign "github.com/santhosh-tekuri/jsonschema/v6"
)

// Bounds of a check, in steps: a value is as many as it has parts. A schema may check a value in
// two ways, what is within it in four, and so on, so a small payload could take for ever.
const (
	mostChecked = 5_000_000
	mostErrors  = 16 << 20 // bytes, if each value were wrong: beyond, it is not said where it is
)

var (
	errTooLong = errors.New("the payload takes too long to check: it is too large, or nested too deep, for a schema that checks its values in several ways")
	errNoPlace = errors.New("the payload is not valid by its schema, and too large to say where")
)

// validators are compiled schemas of one text, as many as were ever needed at once: a schema
// counts the steps of its check.
type validators struct {
	document *document
	doc      any

	mu   sync.Mutex
	free []*validator
}

type validator struct {
	*steps
	schema *foreign.Schema
	wrong  *foreign.Schema // accepts what the schema does not, and gathers no errors
}

func newValidators(text string) (*validators, error) {
	document, _, err := load(&graph{byPlace: map[*value]*node{}}, text)
	if err != nil {
		return nil, err
	}
	doc, err := foreign.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := &validators{document: document, doc: doc}
	first, err := c.compile()
	if err != nil {
		return nil, fmt.Errorf("it is no schema: %w", err)
	}
	c.free = append(c.free, first)
	return c, nil
}

// schemaURL is where a schema is for its validator, which loads nothing else.
const (
	schemaURL = "https://schema.invalid/schema"
	wrongURL  = "https://schema.invalid/wrong"
)

func (c *validators) compile() (*validator, error) {
	compiler := foreign.NewCompiler() // without a loader; patterns are those of package regexp
	compiler.AssertFormat()
	wrong := map[string]any{"not": map[string]any{"$ref": schemaURL}}
	if err := errors.Join(compiler.AddResource(schemaURL, c.doc), compiler.AddResource(wrongURL, wrong)); err != nil {
		return nil, err
	}
	v := &validator{steps: &steps{seen: map[*foreign.Schema]bool{}}}
	var err error
	if v.schema, err = compiler.Compile(schemaURL); err != nil {
		return nil, err
	}
	if v.wrong, err = compiler.Compile(wrongURL); err != nil {
		return nil, err
	}
	v.bound(v.wrong)
	for _, anchored := range c.document.anchors { // a $dynamicRef finds them by name alone
		s, err := compiler.Compile(schemaURL + "#" + anchored.fragment())
		if err != nil {
			return nil, err
		}
		v.bound(s)
	}
	return v, nil
}

// check tells what is wrong with a payload.
func (c *validators) check(data []byte) error {
	value, size, err := readPayload(data)
	if err != nil {
		return err
	}
	v, err := c.take()
	if err != nil {
		return err
	}
	defer c.put(v)
	err = v.run(v.wrong, value, mostChecked)
	switch {
	case errors.Is(err, errTooLong):
		return err
	case err != nil: // it is not wrong
		return nil
	case size > mostErrors:
		return errNoPlace
	}
	var found *foreign.ValidationError // each value may be wrong some times, and not without end
	if !errors.As(v.run(v.schema, value, 1_000+size/10), &found) {
		return errNoPlace
	}
	return c.first(found, value)
}

func (c *validators) take() (*validator, error) {
	c.mu.Lock()
	n := len(c.free)
	if n == 0 {
		c.mu.Unlock()
		return c.compile()
	}
	v := c.free[n-1]
	c.free = c.free[:n-1]
	c.mu.Unlock()
	return v, nil
}

func (c *validators) put(v *validator) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, v)
}
