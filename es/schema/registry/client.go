package registry

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
)

// Client speaks to a registry. It is safe for concurrent use.
type Client struct {
	api   *sr.Client
	close func()
	clean func(string) string // takes secrets out of a text

	asking chan struct{} // held by the one who asks for an id
	mu     sync.RWMutex
	ids    map[text]int
	byID   map[int]es.Contract
}

// text is a contract by what it says: two may share a fingerprint.
type text struct{ kind, text string }

// New returns a client of a registry, and asks it nothing yet.
func New(c Config) (*Client, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	transport := c.transport()
	api, err := sr.NewClient(c.options(transport)...)
	if err != nil {
		return nil, &failure{text: c.cleaner()(err.Error())}
	}
	return &Client{api: api, close: transport.CloseIdleConnections, clean: c.cleaner(), asking: make(chan struct{}, 1), ids: map[text]int{}, byID: map[int]es.Contract{}}, nil
}

// Close closes the connections that are kept for the next call.
func (c *Client) Close() { c.close() }

// Register registers a contract, and returns its id. One that is there already keeps what it
// has. Else it is compared by our own rules with the former versions, before the registry is
// asked: what it breaks is a [*RefusedError]. Call it at a deployment, one at a time for a
// subject: what another registers between the comparison and the registration is not seen.
func (c *Client) Register(ctx context.Context, subject string, contract es.Contract, compatibility Compatibility) (int, error) {
	if err := compatibility.validate(); err != nil {
		return 0, err
	}
	if version, id, err := c.find(ctx, subject, contract); err != nil || version != absent {
		return id, err
	}
	former, err := c.Versions(ctx, subject)
	if err != nil {
		return 0, err
	}
	found, err := compare(contract, former, compatibility)
	if err != nil {
		return 0, &failure{fmt.Sprintf("%s: %s", subject, bare(err)), es.ErrInvalid}
	}
	if len(found) > 0 {
		return 0, &RefusedError{Subject: subject, Findings: found}
	}
	id, err := c.api.RegisterSchema(ctx, subject, schemaOf(contract), -1, -1)
	if err != nil {
		return 0, c.refused(ctx, subject, err)
	}
	return id, c.remember(contract, id)
}

// Load looks contracts up that a deployment has registered, so that [Framed] can write by
// them. Call it at start.
func (c *Client) Load(ctx context.Context, subject string, contracts ...es.Contract) error {
	for _, contract := range contracts {
		if _, err := c.Lookup(ctx, subject, contract); err != nil {
			return err
		}
	}
	return nil
}

// Lookup returns the id of a contract that is registered. One that is not is
// [es.ErrUnknownContract].
func (c *Client) Lookup(ctx context.Context, subject string, contract es.Contract) (int, error) {
	version, id, err := c.find(ctx, subject, contract)
	if err == nil && version == absent {
		err = &failure{fmt.Sprintf("%s does not have this %s contract: register it", subject, contract.Kind), es.ErrUnknownContract}
	}
	return id, err
}

// absent is no version of the API's, which begin with 1.
const absent = 0

// find looks a contract up, whose version may be absent.
func (c *Client) find(ctx context.Context, subject string, contract es.Contract) (version, id int, err error) {
	if subject == "" {
		return 0, 0, &failure{"there is no subject: give one, such as ByTopic", es.ErrInvalid}
	}
	if _, err := rulesOf(contract.Kind); err != nil {
		return 0, 0, err
	}
	found, err := c.api.LookupSchema(ctx, subject, schemaOf(contract))
	if err != nil {
		err = c.failed(ctx, "look up the contract of "+subject, err)
		if isUnknown(err) {
			return absent, 0, nil
		}
		return 0, 0, err
	}
	return max(found.Version, 1), found.ID, c.remember(contract, found.ID)
}

// Versions returns the contracts of a subject, oldest first; none of a subject that is not
// there.
func (c *Client) Versions(ctx context.Context, subject string) ([]Former, error) {
	numbers, err := c.api.SubjectVersions(ctx, subject)
	if err != nil {
		err = c.failed(ctx, "list the versions of "+subject, err)
		if isUnknown(err) {
			return nil, nil
		}
		return nil, err
	}
	slices.Sort(numbers)
	former := make([]Former, 0, len(numbers))
	for _, n := range numbers {
		contract, err := c.version(ctx, subject, n)
		if err != nil {
			return nil, err
		}
		former = append(former, Former{n, contract})
	}
	return former, nil
}

func (c *Client) version(ctx context.Context, subject string, n int) (es.Contract, error) {
	doing := fmt.Sprintf("read version %d of %s", n, subject)
	found, err := c.api.SchemaByVersion(ctx, subject, n)
	if err != nil {
		return es.Contract{}, c.failed(ctx, doing, err)
	}
	contract, err := contractFrom(found.Schema)
	if err != nil {
		return es.Contract{}, &failure{text: doing + ": " + err.Error()}
	}
	return contract, nil
}

// ByID returns the contract of an id. What an id means never changes, so each is asked for
// once; one that is not there, again each time. A contract that is not read here is
// [es.ErrUndecodable].
func (c *Client) ByID(ctx context.Context, id int) (es.Contract, error) {
	if contract, ok := c.known(id); ok {
		return contract, nil
	}
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return es.Contract{}, fmt.Errorf("registry: look up id %d: %w", id, ctx.Err())
	}
	if contract, ok := c.known(id); ok { // another has asked
		return contract, nil
	}
	found, err := c.api.SchemaByID(ctx, id)
	if err != nil {
		return es.Contract{}, c.failed(ctx, fmt.Sprintf("look up id %d", id), err)
	}
	contract, err := contractFrom(found)
	if err != nil {
		return es.Contract{}, &failure{fmt.Sprintf("id %d: %v", id, err), es.ErrUndecodable}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[id] = contract
	return contract, nil
}

func (c *Client) known(id int) (es.Contract, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	contract, ok := c.byID[id]
	return contract, ok
}

// ID returns the id of a contract that was registered, loaded or looked up by this client. It
// asks nobody.
func (c *Client) ID(contract es.Contract) (int, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	id, ok := c.ids[text{contract.Kind, contract.Text}]
	return id, ok
}

func (c *Client) remember(contract es.Contract, id int) error {
	if id < 1 || id > math.MaxUint32 {
		return &failure{text: fmt.Sprintf("the registry gives the id %d: one of the wire format is 1 to %d", id, math.MaxUint32)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[text{contract.Kind, contract.Text}] = id
	return nil
}

func schemaOf(contract es.Contract) sr.Schema {
	s := sr.Schema{Schema: contract.Text}
	switch schema.Kind(contract.Kind) { // of Avro it is left out, as the API has it
	case schema.Avro:
	case schema.Protobuf:
		s.Type = sr.TypeProtobuf
	case schema.JSON:
		s.Type = sr.TypeJSON
	}
	return s
}

// contractFrom is the contract of an answer, which must stand for itself.
func contractFrom(s sr.Schema) (es.Contract, error) {
	if len(s.References) > 0 {
		return es.Contract{}, fmt.Errorf("it refers to other schemas (%s), which is not read: register it in one piece", s.References[0].Name)
	}
	return contractOf(schema.Kind(s.Type.String()), s.Schema)
}
