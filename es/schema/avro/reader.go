package avro

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/avro"

	"github.com/asof-dev/asof/es"
)

// reader reads, by its own schema, what was written by that or another.
type reader struct {
	own    *parsed
	strict bool // whether what the own schema has no field for is refused

	mu      sync.RWMutex
	writers map[writtenBy]writer
}

// writtenBy tells writers apart. The text is that of the contract, and empty where neither
// schema has logical types: these alone may differ where the fingerprint does not.
type writtenBy struct {
	fingerprint fingerprint
	text        string
}

// writer is a schema that payloads were written by, as the reader reads it, or why it does not.
type writer struct {
	as  *avro.Schema
	err error
}

// mostWriters bounds what is remembered: payloads name it.
const mostWriters = 1000

func newReader(own *parsed, strict bool) *reader {
	return &reader{own: own, strict: strict, writers: map[writtenBy]writer{}}
}

// read decodes a payload. It keeps nothing of data: the library copies.
func (r *reader) read(ctx context.Context, data []byte, into any) error {
	by, body, err := split10(data)
	if err != nil {
		return err
	}
	schema, err := r.writer(ctx, by)
	if err != nil {
		return err
	}
	return readAll(schema, body, into)
}

func readAll(schema *avro.Schema, body []byte, into any) error {
	rest, err := schema.Decode(body, into)
	if err != nil {
		return fmt.Errorf("the payload is not what its schema says, so it was damaged, or written by another program: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes follow the payload: it was damaged, or written by another program", len(rest))
	}
	return nil
}

// split10 parts a payload into what names its schema and the rest.
func split10(data []byte) (fingerprint, []byte, error) {
	by, body, err := avro.SingleObjectFingerprint(data)
	if err != nil {
		return by, nil, errors.New("the payload is not in Avro's single-object encoding: if it was written by another codec, raise EventSchema and add an upcaster (avro.UpcastJSON)")
	}
	return by, body, nil
}

// writer finds how to read what was written by a schema. That of the program itself is known,
// but for logical types, of which fingerprints do not tell: there the log is asked each time
// what it has, as a codec may read several logs. It answers from memory.
func (r *reader) writer(ctx context.Context, by fingerprint) (*avro.Schema, error) {
	if by == r.own.fingerprint && !r.own.logical {
		return r.own.Schema, nil
	}
	if w, known := r.known(writtenBy{fingerprint: by}); known {
		return w.as, w.err
	}
	c, err := contractOf(ctx, by)
	if by == r.own.fingerprint && errors.Is(err, es.ErrUnknownContract) {
		return r.own.Schema, nil
	}
	if err != nil {
		return nil, err
	}
	w, known := r.known(writtenBy{by, c.Text})
	if !known {
		w, err = r.learn(by, c)
	}
	if err != nil {
		return nil, err
	}
	return w.as, w.err
}

func (r *reader) known(by writtenBy) (writer, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	w, known := r.writers[by]
	return w, known
}

// learn finds how to read what was written by a contract, and remembers it.
func (r *reader) learn(by fingerprint, c es.Contract) (w writer, err error) {
	s, err := parseContract(by, c)
	if err != nil {
		return writer{}, err
	}
	w.as, w.err = r.resolve(s)
	if r.own.logical || s.logical {
		r.remember(writtenBy{by, c.Text}, w)
	} else {
		r.remember(writtenBy{fingerprint: by}, w)
	}
	return w, nil
}

func (r *reader) remember(by writtenBy, w writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.writers) >= mostWriters {
		clear(r.writers)
	}
	r.writers[by] = w
}

// lookUp finds the schema that a payload was written by.
func lookUp(ctx context.Context, by fingerprint) (*parsed, error) {
	c, err := contractOf(ctx, by)
	if err != nil {
		return nil, err
	}
	return parseContract(by, c)
}

// contractOf finds the contract that a payload was written by.
func contractOf(ctx context.Context, by fingerprint) (es.Contract, error) {
	c, err := es.ContractOf(ctx, kind, by.String())
	switch {
	case errors.Is(err, es.ErrUnknownContract):
		return c, fmt.Errorf("%w: it was written by a schema that is not to be had: bring the contracts of the log along with its events", err)
	case err != nil && !errors.Is(err, es.ErrUnavailable):
		return c, fmt.Errorf("%w: %w", es.ErrUnavailable, err)
	default:
		return c, err
	}
}

func parseContract(by fingerprint, c es.Contract) (*parsed, error) {
	s, err := parseSchema(c.Text)
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", by, err)
	}
	if s.fingerprint != by {
		return nil, fmt.Errorf("contract %s has a text of fingerprint %s: it is not what the payload was written by", by, s.fingerprint)
	}
	return s, nil
}

// resolve makes a schema that reads what was written by another.
func (r *reader) resolve(by *parsed) (*avro.Schema, error) {
	problems, err := CanRead(r.own.contract.Text, by.contract.Text)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("it was written by another schema (%s), of which this program's cannot read: %s; or raise EventSchema and add an upcaster (avro.Upcast)", by.fingerprint, problems[0])
	}
	if r.strict {
		if path := beyond(nil, newTree(r.own.Root()), newTree(by.Root()), map[pair]bool{}); path != "" {
			return nil, fmt.Errorf("it was written by a schema (%s) that has a field %s, and the type is strict: add the field", by.fingerprint, path)
		}
	}
	as, err := avro.Resolve(by.Schema, r.own.Schema)
	if err != nil {
		return nil, fmt.Errorf("it was written by another schema (%s), which this program's cannot read: %w", by.fingerprint, err)
	}
	return as, nil
}
