package avro

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/avro"

	"github.com/asof-dev/asof/es"
)

// Contract returns the contract of a schema. Its fingerprint is the CRC-64-AVRO of the
// schema's Parsing Canonical Form, as a number of 16 hexadecimal digits. That form leaves out
// docs, defaults and aliases, which reading what was written does not take, and logical
// types, which it does: so these are in the contract's meaning.
func Contract(text string) (es.Contract, error) {
	s, err := parseSchema(text)
	if err != nil {
		return es.Contract{}, err
	}
	return s.contract, nil
}

// fingerprint is how a payload names its schema: the first 8 bytes after the magic.
type fingerprint [8]byte

func (f fingerprint) String() string { return fmt.Sprintf("%016x", binary.LittleEndian.Uint64(f[:])) }

// parsed is a schema and what is asked of it often.
type parsed struct {
	*avro.Schema
	fingerprint fingerprint
	contract    es.Contract
	logical     bool // whether it has logical types
}

func parseSchema(text string) (*parsed, error) {
	if text == "" {
		return nil, errors.New("the schema is empty: give a JSON text")
	}
	s, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the text is no Avro schema: %s", strings.TrimPrefix(err.Error(), "avro: "))
	}
	p := &parsed{Schema: s}
	crc := avro.NewRabin()
	crc.Write(s.Canonical())
	binary.LittleEndian.PutUint64(p.fingerprint[:], crc.Sum64())
	logicals := logicalsOf(s.Root(), nil)
	meaning := sha256.New()
	meaning.Write(s.Canonical())
	for _, l := range logicals {
		fmt.Fprintf(meaning, "\n%s", l)
		p.logical = p.logical || l.name != ""
	}
	p.contract = es.Contract{Kind: kind, Fingerprint: p.fingerprint.String(), Meaning: hex.EncodeToString(meaning.Sum(nil)), Text: text}
	return p, nil
}

// kind is Avro's name in contracts.
const kind = "AVRO"

// logicalsOf lists the logical type, or none, of each type, in the order of the text.
func logicalsOf(n *avro.SchemaNode, list []logical) []logical {
	list = append(list, logicalOf(n))
	if n.Type == "record" || n.Type == "error" {
		for i := range n.Fields {
			list = logicalsOf(lifted(&n.Fields[i]), list)
		}
		return list
	}
	for _, child := range children(n) {
		list = logicalsOf(child, list)
	}
	return list
}
