package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/twmb/avro"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
)

// contractOf is the contract of a text: of Avro the fingerprint is the CRC-64-AVRO of the
// canonical form, as 16 hex digits, and of the others the SHA-256 of the text.
func contractOf(kind schema.Kind, text string) (es.Contract, error) {
	c := es.Contract{Kind: string(kind), Text: text}
	switch kind {
	case schema.Avro:
		parsed, err := avro.Parse(text)
		if err != nil {
			return c, fmt.Errorf("the text is no Avro schema: %w", err)
		}
		c.Fingerprint = hex.EncodeToString(parsed.Fingerprint(avro.NewRabin()))
	case schema.Protobuf, schema.JSON:
		sum := sha256.Sum256([]byte(text))
		c.Fingerprint = hex.EncodeToString(sum[:])
	default:
		return c, fmt.Errorf("it is of the kind %.40q: give AVRO, PROTOBUF or JSON", string(kind))
	}
	return c, nil
}
