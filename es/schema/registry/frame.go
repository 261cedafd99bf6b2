package registry

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
)

const (
	magic     = 0
	frameSize = 5 // the magic byte, and an id of 4 bytes
	avroSize  = 10
)

// avroMagic begins Avro's single-object encoding, before the fingerprint.
var avroMagic = []byte{0xC3, 0x01} //nolint:gochecknoglobals // it is a constant

// media are the content types of a kind: of the payload, and of the framed one. A client that
// does not know the frame must not take it for the payload.
func media(kind string) (plain, framed string) {
	switch schema.Kind(kind) {
	case schema.Avro:
		return "application/avro", "application/vnd.confluent.avro"
	case schema.Protobuf:
		return "application/protobuf", "application/vnd.confluent.protobuf"
	case schema.JSON:
		return es.JSONContentType, "application/vnd.confluent.json"
	}
	return "", ""
}

// frame puts a payload into the wire format: of Avro without what single-object encoding has
// before it, of Protobuf with the list of message indexes, whose short form means the first
// message.
func frame(kind string, id int, payload []byte) ([]byte, error) {
	framed := make([]byte, frameSize, frameSize+1+len(payload))
	binary.BigEndian.PutUint32(framed[1:], uint32(id)) //nolint:gosec // remember has looked
	switch schema.Kind(kind) {
	case schema.Avro:
		if len(payload) < avroSize || !bytes.HasPrefix(payload, avroMagic) {
			return nil, fmt.Errorf("the payload is not in Avro's single-object encoding: use a codec that writes it")
		}
		payload = payload[avroSize:]
	case schema.Protobuf:
		framed = append(framed, 0)
	case schema.JSON:
	}
	return append(framed, payload...), nil
}

// framedBy returns the id of a payload in the wire format. None of the three languages begins a
// payload with a zero, so what others have sent without a content type is seen, too.
func framedBy(contentType string, data []byte) (id int, framed bool, err error) {
	switch contentType {
	case "application/vnd.confluent.avro", "application/vnd.confluent.protobuf", "application/vnd.confluent.json":
		if len(data) < frameSize || data[0] != magic {
			return 0, false, fmt.Errorf("it is %s and does not begin with a zero and an id of 4 bytes", contentType)
		}
	case "", es.JSONContentType, "application/avro", "application/protobuf", "application/octet-stream":
		if len(data) < frameSize || data[0] != magic {
			return 0, false, nil
		}
	default:
		return 0, false, nil
	}
	return int(binary.BigEndian.Uint32(data[1:])), true, nil
}

// unframe is the payload as the codec beneath wrote it. Single is what Avro's single-object
// encoding has before it.
func unframe(kind string, single, data []byte) ([]byte, error) {
	body := data[frameSize:]
	switch schema.Kind(kind) {
	case schema.Avro:
		return slices.Concat(single, body), nil
	case schema.Protobuf:
		return afterIndexes(body)
	default:
		return body, nil
	}
}

// afterIndexes reads the list that says which message of the file it is: it must be the first.
func afterIndexes(body []byte) ([]byte, error) {
	n, size := binary.Varint(body)
	if size <= 0 || n < 0 {
		return nil, fmt.Errorf("it does not say which message it is")
	}
	if n == 0 {
		return body[size:], nil
	}
	first, more := binary.Varint(body[size:])
	if more <= 0 {
		return nil, fmt.Errorf("it does not say which message it is")
	}
	if n != 1 || first != 0 {
		return nil, fmt.Errorf("it is not the first message of its file: that alone is a payload")
	}
	return body[size+more:], nil
}

// singleOf is what the single-object encoding has before a payload: the fingerprint stands
// there with its last byte first.
func singleOf(contract es.Contract) ([]byte, error) {
	fingerprint, err := hex.DecodeString(contract.Fingerprint)
	if err != nil || len(fingerprint) != avroSize-len(avroMagic) {
		return nil, fmt.Errorf("the fingerprint %.40q is none of Avro", contract.Fingerprint)
	}
	slices.Reverse(fingerprint)
	return slices.Concat(avroMagic, fingerprint), nil
}
