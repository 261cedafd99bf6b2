package kafka_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
)

// identity is what a message is told by, in one of the three ways.
type identity struct {
	source, event string // of a CloudEvent
	uuid          string // of Watermill
	topicID       string // and its place
	prefix, topic string
	partition     int
	offset        int64
}

func (i identity) message() *message.Message {
	m := message.NewMessage(i.uuid, nil)
	for key, value := range map[string]string{
		"ce_source": i.source, "ce_id": i.event, kafka.MetadataTopicID: i.topicID, kafka.MetadataPrefix: i.prefix, kafka.MetadataTopic: i.topic,
		kafka.MetadataPartition: fmt.Sprint(i.partition), kafka.MetadataOffset: fmt.Sprint(i.offset),
	} {
		if value != "" {
			m.Metadata[key] = value
		}
	}
	return m
}

// kind drops what does not count, so that two identities are the same message only if
// they are equal.
func (i identity) kind() identity {
	switch {
	case i.source != "" && i.event != "":
		return identity{source: i.source, event: i.event}
	case i.uuid != "" && i.uuid != i.event:
		return identity{uuid: i.uuid}
	case i.topicID != "":
		return identity{topicID: i.topicID, partition: i.partition, offset: i.offset}
	}
	return identity{topic: i.prefix + i.topic, partition: i.partition, offset: i.offset}
}

// Few characters, among them all that stand between the parts of an id, meet often.
func identities(t *rapid.T) identity {
	text := rapid.OneOf(rapid.StringMatching(`[/:1a.]{0,4}`), rapid.SampledFrom([]string{
		"", "ce:1:a:1", "uuid:1", "at:1:1:1", "1:a", "\x00", "\xff", "\xfe", "\ufffd", strings.Repeat("a", 1100), strings.Repeat("a", 1101), "sha256:",
	}))
	name := rapid.StringMatching(`[a.]{0,3}`)
	return identity{
		source: text.Draw(t, "source"), event: text.Draw(t, "event"), uuid: text.Draw(t, "uuid"), topicID: rapid.SampledFrom([]string{"", "i-1", "i-2"}).Draw(t, "topic id"),
		prefix: name.Draw(t, "prefix"), topic: name.Draw(t, "topic"), partition: rapid.IntRange(0, 11).Draw(t, "partition"), offset: rapid.Int64Range(0, 11).Draw(t, "offset"),
	}
}

func TestMessageID_is_one_of_the_message_alone(t *testing.T) {
	t.Parallel()
	seen := map[string]identity{}
	rapid.Check(t, func(t *rapid.T) {
		i := identities(t)
		id := kafka.MessageID(i.message())
		if before, ok := seen[id]; ok && before != i.kind() {
			t.Fatalf("%q is the id of %+v and of %+v", id, before, i.kind())
		}
		seen[id] = i.kind()
		if id == "" || len(id) > inbox.MaxMessageID || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
			t.Fatalf("%q cannot be stored", id)
		}
		if again := kafka.MessageID(i.message()); again != id {
			t.Fatalf("%q is %q the next time", id, again)
		}
	})
}

func TestMessageID_tells_sources_and_ids_apart(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]identity{
		{{source: "/orders", event: "eu/1"}, {source: "/orders/eu", event: "1"}},
		{{source: "a:1", event: "2"}, {source: "a", event: "1:2"}},
		{{source: "a", event: "1"}, {uuid: "ce:1:a:1"}},
		{{uuid: "at:order:0:5"}, {topic: "order", offset: 5}},
		{{prefix: "a.", topic: "order"}, {prefix: "b.", topic: "order"}},
		{{topicID: "i-1", topic: "order"}, {topicID: "i-2", topic: "order"}}, // made again
		{{topic: "order", partition: 1, offset: 11}, {topic: "order", partition: 11, offset: 1}},
		{{source: strings.Repeat("a", 2000), event: "1"}, {source: strings.Repeat("a", 2000), event: "2"}},
		{{source: "\xff", event: "1"}, {source: "\xfe", event: "1"}},
		{{source: "a", event: "\x00"}, {source: "a", event: "\x00\x00"}},
	} {
		if one, two := kafka.MessageID(pair[0].message()), kafka.MessageID(pair[1].message()); one == two {
			t.Errorf("%+v and %+v are both %q", pair[0], pair[1], one)
		}
	}
}

// How it is written is stored, and so must not change.
func TestMessageID_is_written_so(t *testing.T) {
	t.Parallel()
	for want, i := range map[string]identity{
		"ce:7:/orders:eu/1": {source: "/orders", event: "eu/1", uuid: "u"},
		"uuid:u-1":          {uuid: "u-1", event: "1"},
		"at:i-1:3:4":        {topicID: "i-1", prefix: "p.", topic: "order", partition: 3, offset: 4},
		"at:p.order:3:4":    {prefix: "p.", topic: "order", partition: 3, offset: 4, event: "1", uuid: "1"},
		"sha256:8732c530e116d52baf7bfdc634d08dac7c4289e7a28122ff007e154edcf1eb76": {source: "a\x00", event: "1"},
	} {
		if got := kafka.MessageID(i.message()); got != want {
			t.Errorf("%+v is %q, want %q", i, got, want)
		}
	}
}
