package reactions

import (
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/pg"
)

// delivery is a message that has come.
type delivery struct {
	kafka.Message

	topicID  uuid.UUID        // none where it is not known
	read     *message.Message // the same for handlers
	id       string           // in the inbox
	sequence string
}

func (r *Reactor) delivery(m kafka.Message, topicID uuid.UUID) *delivery {
	d := &delivery{Message: m, topicID: topicID, read: kafka.ToWatermill(&m, r.prefix, topicID)}
	d.id = inbox.IDOf(d.read)
	d.sequence = d.waitsIn()
	return d
}

// Headers by which an event of Asof's says its stream. One that has the last, whatever
// that says, is one of Asof's, or of somebody who writes as Asof does.
const (
	headerType     = "ce_type"
	headerSource   = "ce_source"
	headerCategory = "ce_category"
	headerSubject  = "ce_subject"
	headerVersion  = "ce_version"
)

// stream says which stream the message is of, readable or not.
func (d *delivery) stream() (source, category, id string, ok bool) {
	source, category, id = d.read.Metadata[headerSource], d.read.Metadata[headerCategory], d.read.Metadata[headerSubject]
	_, versioned := d.read.Metadata[headerVersion]
	return source, category, id, versioned && source != "" && category != "" && id != ""
}

// maxSequence bounds what is stored of a sequence's name, in bytes.
const maxSequence = 1024

// waitsIn names the sequence that the message is of: those of its stream, whatever topic
// they come by, else those of its key in its topic, else the message alone. No two
// sequences have one name.
func (d *delivery) waitsIn() string {
	name := "alone:" + d.id
	if source, category, id, ok := d.stream(); ok {
		name = "stream:" + strconv.Itoa(len(source)) + ":" + source + ":" + strconv.Itoa(len(category)) + ":" + category + ":" + id
	} else if d.Key != nil {
		name = "key:" + d.Topic + ":" + string(d.Key)
	}
	return pg.Key(name, maxSequence)
}
