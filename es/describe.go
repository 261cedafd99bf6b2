package es

import (
	"context"
	"fmt"
)

// Describer is a codec whose payloads people cannot read as they are.
type Describer interface {
	// Describe returns the payload as JSON, as it was written: by its contract, and not as
	// the program has the type now. Its errors are those of Decode.
	Describe(ctx context.Context, recorded RecordedEvent) ([]byte, error)
}

// Describe returns a payload as JSON, for people and for tests: what is JSON as it stands, else
// by a codec that is a [Describer]. A payload of which the codec has no JSON is
// [ErrUnknownType].
func Describe[E Event](ctx context.Context, codec Codec[E], recorded RecordedEvent) ([]byte, error) {
	if d, ok := codec.(Describer); ok {
		return d.Describe(ctx, recorded)
	}
	if recorded.ContentType == "" || recorded.ContentType == JSONContentType {
		return recorded.Data, nil
	}
	return nil, fmt.Errorf("%w: %q of %s version %d: the codec has no JSON of %s", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version, recorded.ContentType)
}

// Describe is that of the codec beneath.
func (c widened[Wide, E]) Describe(ctx context.Context, recorded RecordedEvent) ([]byte, error) {
	return Describe(ctx, c.of, recorded)
}

// Describe is that of the codec that has the type.
func (c merged[E]) Describe(ctx context.Context, recorded RecordedEvent) ([]byte, error) {
	codec, ok := c[recorded.Type]
	if !ok {
		return nil, fmt.Errorf("%w: %q of %s version %d: add it to a codec", ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	return Describe(ctx, codec, recorded)
}

// Describe is that of the codec beneath: of what was recorded, not of what it has become.
func (c *upcasting[E]) Describe(ctx context.Context, recorded RecordedEvent) ([]byte, error) {
	return Describe(ctx, c.Codec, recorded)
}

// Describe is that of the codec beneath.
func (c writingAs[E]) Describe(ctx context.Context, recorded RecordedEvent) ([]byte, error) {
	return Describe(ctx, c.Codec, recorded)
}
