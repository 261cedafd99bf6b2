package kafka

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
)

// maxMessageID bounds what MessageID returns, in bytes; an inbox keeps as many.
const maxMessageID = 1024

// What a message id is made of stands before it, so that an id of one kind is never one
// of another.
const (
	idOfEvent  = "ce:"
	idOfUUID   = "uuid:"
	idOfPlace  = "at:"
	idByDigest = "sha256:"
)

// MessageID returns what tells a message from all others, to deduplicate it. It is
//
//	ce:LENGTH:SOURCE:ID              of a CloudEvent, with the length of its source in bytes
//	uuid:UUID                        of what a Watermill publisher has published
//	at:TOPIC:PARTITION:OFFSET        of anything else: its place, by the id of its topic or,
//	                                 where that is not known, its whole name
//	sha256:DIGEST                    of one of these that is not UTF-8, has a zero
//	                                 character or more than 1024 bytes
//
// Two messages have one id only if they are of one source and id, of one UUID or at one
// place. It is UTF-8 without a zero character and has 1 to 1024 bytes, whatever the
// message's headers are.
func MessageID(w *message.Message) string {
	source, event := w.Metadata[headerSource], w.Metadata[headerID]
	switch {
	case source != "" && event != "":
		return storable(idOfEvent + strconv.Itoa(len(source)) + ":" + source + ":" + event)
	case w.UUID != "" && w.UUID != event: // an id without its source tells nothing
		return storable(idOfUUID + w.UUID)
	}
	topic := w.Metadata[MetadataTopicID]
	if topic == "" {
		topic = w.Metadata[MetadataPrefix] + w.Metadata[MetadataTopic]
	}
	return storable(idOfPlace + topic + ":" + w.Metadata[MetadataPartition] + ":" + w.Metadata[MetadataOffset])
}

func storable(id string) string {
	if len(id) <= maxMessageID && utf8.ValidString(id) && !strings.ContainsRune(id, 0) {
		return id
	}
	digest := sha256.Sum256([]byte(id))
	return idByDigest + hex.EncodeToString(digest[:])
}
