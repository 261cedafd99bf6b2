package registry

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"github.com/twmb/avro"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
)

// ByTopic is the subject of a topic that has payloads of one contract: TOPIC-value, as by
// Confluent's TopicNameStrategy.
func ByTopic(topic string) string { return topic + "-value" }

// ByRecord is the subject of a contract wherever its payloads are: the full name of its record,
// of its first message, or its title, as by RecordNameStrategy.
func ByRecord(c es.Contract) (string, error) {
	name, err := recordName(c)
	if err == nil && name == "" {
		err = &failure{fmt.Sprintf("the %s contract names no record: give a JSON Schema a title, or take ByTopic", c.Kind), es.ErrInvalid}
	}
	return name, err
}

// ByTopicAndRecord is the subject of a contract in a topic of several: TOPIC-RECORD, as by
// TopicRecordNameStrategy.
func ByTopicAndRecord(topic string, c es.Contract) (string, error) {
	name, err := ByRecord(c)
	if err != nil {
		return "", err
	}
	return topic + "-" + name, nil
}

func recordName(c es.Contract) (string, error) {
	switch schema.Kind(c.Kind) {
	case schema.Avro:
		return avroName(c.Text)
	case schema.Protobuf:
		return messageName(c.Text)
	case schema.JSON:
		var root struct {
			Title string `json:"title"`
		}
		if err := json.Unmarshal([]byte(c.Text), &root); err != nil {
			return "", &failure{"the text is no JSON Schema: " + err.Error(), es.ErrInvalid}
		}
		return root.Title, nil
	}
	_, err := rulesOf(c.Kind)
	return "", err
}

func avroName(text string) (string, error) {
	parsed, err := avro.Parse(text)
	if err != nil {
		return "", &failure{"the text is no Avro schema: " + err.Error(), es.ErrInvalid}
	}
	root := parsed.Root()
	if root.Namespace == "" || strings.Contains(root.Name, ".") {
		return root.Name, nil
	}
	return root.Namespace + "." + root.Name, nil
}

// messageName reads no more of a file than its first message's name.
func messageName(text string) (string, error) {
	handler := reporter.NewHandler(nil)
	tree, err := parser.Parse("contract.proto", strings.NewReader(text), handler)
	if err != nil {
		return "", &failure{"the text is no .proto file: " + shortened(err.Error()), es.ErrInvalid}
	}
	parsed, err := parser.ResultFromAST(tree, false, handler)
	if err != nil {
		return "", &failure{"the text is no .proto file: " + shortened(err.Error()), es.ErrInvalid}
	}
	file := parsed.FileDescriptorProto()
	if len(file.GetMessageType()) == 0 {
		return "", nil
	}
	name := file.GetMessageType()[0].GetName()
	if file.GetPackage() != "" {
		name = file.GetPackage() + "." + name
	}
	return name, nil
}
