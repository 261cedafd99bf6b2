package avro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/avro"

	"github.com/asof-dev/asof/es"
)

// Describe returns a payload as JSON, by the schema that it was written by: moments as in RFC
// 3339, decimals as numbers, bytes in base 64.
func (c codec[E]) Describe(ctx context.Context, recorded es.RecordedEvent) ([]byte, error) {
	k, ok := c[recorded.Type]
	if !ok {
		return nil, fmt.Errorf("%w: %q of %s version %d: add it to the codec", es.ErrUnknownType, recorded.Type, recorded.Stream, recorded.Version)
	}
	text, err := k.describe(ctx, recorded.Data)
	if err != nil {
		return nil, undecodable(recorded, err)
	}
	return text, nil
}

func (r *reader) describe(ctx context.Context, data []byte) ([]byte, error) {
	by, body, err := split10(data)
	if err != nil {
		return nil, err
	}
	s, err := lookUp(ctx, by)
	if by == r.own.fingerprint && errors.Is(err, es.ErrUnknownContract) {
		s, err = r.own, nil
	}
	if err != nil {
		return nil, err
	}
	var value any
	if err := readAll(s.Schema, body, &value); err != nil {
		return nil, err
	}
	return json.Marshal(shown(value))
}

// shown is a value as JSON has it for people.
func shown(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, of := range v {
			v[key] = shown(of)
		}
	case []any:
		for i, of := range v {
			v[i] = shown(of)
		}
	case float32:
		return shownFloat(float64(v), v)
	case float64:
		return shownFloat(v, v)
	case *big.Rat:
		digits, _ := v.FloatPrec()
		return json.Number(v.FloatString(digits))
	case time.Time:
		return v.Format(time.RFC3339Nano) // a long has years that JSON's marshaler refuses
	case time.Duration:
		return v.String()
	case avro.Duration:
		return fmt.Sprintf("%d months %d days %d ms", v.Months, v.Days, v.Milliseconds)
	case [16]byte:
		return uuid.UUID(v).String()
	}
	return value
}

// shownFloat is a number, or the name of what JSON has no number for.
func shownFloat(v float64, as any) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	return as
}
