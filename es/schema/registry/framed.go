package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
	"github.com/asof-dev/asof/es/schema/avro"
)

// IDs has the ids of contracts: a [Client].
type IDs interface {
	// ID returns the id of a contract without asking anybody.
	ID(contract es.Contract) (id int, ok bool)
	// ByID returns the contract of an id, and may ask for it. Its errors match
	// [es.ErrUnknownContract] when there is none, and [es.ErrUndecodable] when it is none that
	// is read; all others are taken for [es.ErrUnavailable].
	ByID(ctx context.Context, id int) (es.Contract, error)
}

// Framed is a codec that writes payloads in the Confluent wire format, for topics that others
// read, and reads them. (In a store it would make the log depend on the registry.) What codec
// writes must have a contract, whose id is there by [Client.Register] or [Client.Load]: encoding
// asks nobody. Decoding asks for an id once, and tells codec the contract; a payload that is not
// framed it passes on.
//
// What is wrong with a payload or its contract is [es.ErrUndecodable], and so is an id that the
// registry does not know: it is asked again each time, so what was parked for an id that came
// late is read when it is retried. A registry that does not answer, or not as it should, as with
// a wrong password, is [es.ErrUnavailable].
func Framed[E es.Event](codec es.Codec[E], ids IDs) es.Codec[E] {
	return &framed[E]{codec: codec, ids: ids}
}

type framed[E es.Event] struct {
	codec   es.Codec[E]
	ids     IDs
	writers sync.Map // of id: writer
	avro    sync.Map // of Avro, by fingerprint: the contract that was met first
}

// writer is a contract by which payloads are written.
type writer struct {
	contract es.Contract
	single   []byte // of Avro, what single-object encoding has before the payload
}

func (f *framed[E]) Encode(ctx context.Context, stream es.StreamID, event E) (es.EventData, error) {
	data, err := f.codec.Encode(ctx, stream, event)
	if err != nil {
		return es.EventData{}, err
	}
	if data.Contract == nil {
		return es.EventData{}, fmt.Errorf("%w: %s has no contract: frame a codec of es/schema", es.ErrInvalid, data.Type)
	}
	plain, media := media(data.Contract.Kind)
	if is := data.ContentType; is != plain && (is != "" || plain != es.JSONContentType) {
		return es.EventData{}, fmt.Errorf("%w: %s is %q and its contract %s: frame a codec of es/schema", es.ErrInvalid, data.Type, is, data.Contract.Kind)
	}
	id, ok := f.ids.ID(*data.Contract)
	if !ok {
		return es.EventData{}, fmt.Errorf("%w: that of %s has no id here: register it at deployment, and call Register or Load at start", es.ErrUnknownContract, data.Type)
	}
	if data.Data, err = frame(data.Contract.Kind, id, data.Data); err != nil {
		return es.EventData{}, fmt.Errorf("%w: %s: %w", es.ErrInvalid, data.Type, err)
	}
	data.ContentType = media
	return data, nil
}

func (f *framed[E]) Decode(ctx context.Context, into []E, recorded es.RecordedEvent) ([]E, error) {
	ctx, recorded, err := f.unframed(ctx, recorded)
	if err != nil {
		return into, err
	}
	return f.codec.Decode(ctx, into, recorded)
}

// Describe is that of the codec beneath.
func (f *framed[E]) Describe(ctx context.Context, recorded es.RecordedEvent) ([]byte, error) {
	ctx, recorded, err := f.unframed(ctx, recorded)
	if err != nil {
		return nil, err
	}
	return es.Describe(ctx, f.codec, recorded)
}

func (f *framed[E]) Types() []string { return f.codec.Types() }

// unframed is what the codec beneath is to read, and where it finds the contract.
func (f *framed[E]) unframed(ctx context.Context, recorded es.RecordedEvent) (context.Context, es.RecordedEvent, error) {
	id, is, err := framedBy(recorded.ContentType, recorded.Data)
	if err == nil && !is {
		return ctx, recorded, nil
	}
	var by writer
	if err == nil {
		by, err = f.writer(ctx, id)
	}
	if err == nil {
		recorded.ContentType, _ = media(by.contract.Kind)
		recorded.Data, err = unframe(by.contract.Kind, by.single, recorded.Data)
	}
	if err != nil {
		return ctx, recorded, undecodable(recorded, err)
	}
	return es.WithContracts(ctx, written{ctx, by.contract}), recorded, nil
}

// undecodable names the event, but for what may pass.
func undecodable(recorded es.RecordedEvent, err error) error {
	if errors.Is(err, es.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %s of %s version %d: %w", es.ErrUndecodable, recorded.Type, recorded.Stream, recorded.Version, err)
}

func (f *framed[E]) writer(ctx context.Context, id int) (writer, error) {
	if by, ok := f.writers.Load(id); ok {
		return by.(writer), nil //nolint:forcetypeassert // nothing else is stored
	}
	contract, err := f.ids.ByID(ctx, id)
	if err != nil {
		return writer{}, unanswered(err)
	}
	by := writer{contract: contract}
	if schema.Kind(contract.Kind) == schema.Avro {
		if by.contract, err = f.alone(contract); err != nil {
			return writer{}, err
		}
		if by.single, err = singleOf(by.contract); err != nil {
			return writer{}, err
		}
	}
	f.writers.Store(id, by)
	return by, nil
}

// unanswered is an error of [IDs]. One that says nothing of the contract is not the payload's.
func unanswered(err error) error {
	for _, is := range []error{es.ErrUnknownContract, es.ErrUndecodable, es.ErrUnavailable, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, is) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", es.ErrUnavailable, err)
}

// alone refuses a contract of Avro whose fingerprint another one has that means something else,
// as another scale of a decimal does: the codec knows them by it.
func (f *framed[E]) alone(contract es.Contract) (es.Contract, error) {
	contract, err := avro.Contract(contract.Text)
	if err != nil {
		return contract, err
	}
	first, _ := f.avro.LoadOrStore(contract.Fingerprint, contract)
	if !contract.Same(first.(es.Contract)) { //nolint:forcetypeassert // nothing else is stored
		return contract, fmt.Errorf("the registry has two contracts of Avro with the fingerprint %s that differ in logical types: rename a field or a type of one of them", contract.Fingerprint)
	}
	return contract, nil
}

// written has the contract of one payload, and else what was there before.
type written struct {
	before   context.Context
	contract es.Contract
}

func (w written) Contract(_ context.Context, kind, fingerprint string) (es.Contract, error) {
	if kind == w.contract.Kind && fingerprint == w.contract.Fingerprint {
		return w.contract, nil
	}
	return es.ContractOf(w.before, kind, fingerprint)
}
