package es

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Contract is the schema by which a payload was written: an Avro schema, a .proto file, a
// JSON Schema. A store keeps the contracts of its payloads beside them, each once, so that
// they can be read for as long as the log is there, without a registry.
type Contract struct {
	// Kind is the language, by its name in the Confluent API: AVRO, PROTOBUF or JSON.
	Kind string
	// Fingerprint names the text, as is usual for the kind: 1 to 128 printable ASCII
	// characters.
	Fingerprint string
	// Meaning is a digest of what reading takes of the text, where that is less than all of it
	// and the fingerprint does not tell: up to 128 printable ASCII characters. Of two texts with
	// one fingerprint and one meaning, a store keeps the first.
	Meaning string
	// Text is the schema, up to [MaxContract] bytes.
	Text string
}

// Same is whether payloads written by the one are read by the other as they are by their own:
// its text is the same, or its meaning. A store takes no two of one kind and fingerprint
// that are not.
func (c Contract) Same(other Contract) bool {
	return c.Kind == other.Kind && c.Fingerprint == other.Fingerprint &&
		c.Meaning == other.Meaning && (c.Meaning != "" || c.Text == other.Text)
}

// MaxContract is how many bytes a contract's text may have.
const MaxContract = 1 << 20

// Contracts has the contracts that payloads were written by: a store, or a registry.
type Contracts interface {
	// Contract returns the one of a kind and fingerprint. Its errors match
	// [ErrUnknownContract], or [ErrUnavailable] when it cannot be looked up now.
	Contract(ctx context.Context, kind, fingerprint string) (Contract, error)
}

// ErrUnknownContract: the payload was written by a contract that is not where it is looked for.
var ErrUnknownContract = errors.New("es: unknown contract")

type contractsKey struct{}

// WithContracts returns a context that tells codecs where the contracts are of what they
// decode. Repositories, projectors and reactions give it: those of the log that they read.
func WithContracts(ctx context.Context, contracts Contracts) context.Context {
	return context.WithValue(ctx, contractsKey{}, contracts)
}

// knowing returns ctx with one contract more, which what is decoded brings along.
func knowing(ctx context.Context, c *Contract) context.Context {
	if c == nil {
		return ctx
	}
	others, _ := ctx.Value(contractsKey{}).(Contracts)
	return WithContracts(ctx, brought{*c, others})
}

type brought struct {
	one    Contract
	others Contracts
}

func (b brought) Contract(ctx context.Context, kind, fingerprint string) (Contract, error) {
	if b.one.Kind == kind && b.one.Fingerprint == fingerprint {
		return b.one, nil
	}
	if b.others == nil {
		return nowhere(kind, fingerprint)
	}
	return b.others.Contract(ctx, kind, fingerprint)
}

// ContractOf finds the contract of a payload where ctx says that it is.
func ContractOf(ctx context.Context, kind, fingerprint string) (Contract, error) {
	contracts, ok := ctx.Value(contractsKey{}).(Contracts)
	if !ok {
		return nowhere(kind, fingerprint)
	}
	return contracts.Contract(ctx, kind, fingerprint)
}

func nowhere(kind, fingerprint string) (Contract, error) {
	return Contract{}, fmt.Errorf("%w: %s %s: nothing says where to look for it (es.WithContracts)", ErrUnknownContract, kind, fingerprint)
}

func (c *Contract) validate() error {
	if c == nil {
		return nil
	}
	switch c.Kind {
	case "AVRO", "PROTOBUF", "JSON":
	default:
		return fmt.Errorf("%w: contract of kind %.40q: give AVRO, PROTOBUF or JSON", ErrInvalid, c.Kind)
	}
	if n := len(c.Fingerprint); n == 0 || n > 128 || !printableASCII(c.Fingerprint) {
		return fmt.Errorf("%w: contract with fingerprint %.40q: give 1 to 128 printable ASCII characters", ErrInvalid, c.Fingerprint)
	}
	if len(c.Meaning) > 128 || !printableASCII(c.Meaning) {
		return fmt.Errorf("%w: contract %s with meaning %.40q: give at most 128 printable ASCII characters", ErrInvalid, c.Fingerprint, c.Meaning)
	}
	if n := len(c.Text); n == 0 || n > MaxContract || !utf8.ValidString(c.Text) || strings.ContainsRune(c.Text, 0) {
		return fmt.Errorf("%w: contract %s has a text of %d bytes: give 1 to %d bytes of UTF-8 without a zero", ErrInvalid, c.Fingerprint, n, MaxContract)
	}
	return nil
}
