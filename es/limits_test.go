package es_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
)

// The largest event that is accepted must fit into a Kafka message of a broker that
// was not configured: payload, key and all headers, with room for their names.
func TestLargest_event_fits_Kafka(t *testing.T) {
	t.Parallel()
	const messageMaxBytes, recordOverhead, headerNames = 1048588, 100, 32 * 40
	fixed := 6 * 64                                                             // ids, time, versions and position as text
	names := es.MaxCategory + 2*es.MaxID + es.MaxType + es.MaxContentType + 256 /* ce_source */
	// Metadata is limited as JSON, which is longer than its values; each key of Extra
	// costs a header, and needs at least 6 bytes of JSON; the trace context is published
	// twice.
	metadata := es.MaxMetadata * 2
	if sum := es.MaxData + names + fixed + metadata + recordOverhead + headerNames; sum > messageMaxBytes {
		t.Errorf("an event may have %d bytes as a message, more than %d", sum, messageMaxBytes)
	}
}

// Errors say what is wrong and what is allowed.
func TestValidate_append_says(t *testing.T) {
	t.Parallel()
	event := func(change func(*es.EventData)) []es.EventData {
		e := es.EventData{ID: es.NewID(), Type: "test.happened", Data: []byte(`{}`)}
		change(&e)
		return []es.EventData{e}
	}
	nothing := func(*es.EventData) {}
	good := es.StreamID{Category: "test", ID: "1"}
	for _, c := range []struct {
		stream es.StreamID
		want   es.Expected
		events []es.EventData
		says   []string
	}{
		{es.StreamID{Category: "", ID: "1"}, es.Any, event(nothing), []string{"category is empty", "128"}},
		{es.StreamID{Category: "a b", ID: "1"}, es.Any, event(nothing), []string{`' '`, "A-Z a-z 0-9 ._-"}},
		{es.StreamID{Category: "a", ID: strings.Repeat("x", 257)}, es.Any, event(nothing), []string{"257 bytes", "at most 256"}},
		{good, es.Expected(-9), event(nothing), []string{"-9", "Exactly"}},
		{good, es.Any, nil, []string{"0 events", "1 to 1000"}},
		{good, es.Any, event(func(e *es.EventData) { e.ID = [16]byte{} }), []string{"event 1 of 1 for test/1", "es.NewID"}},
		{good, es.Any, event(func(e *es.EventData) { e.Data = make([]byte, es.MaxData+1) }), []string{"921601 bytes", "at most 921600", "store large content elsewhere"}},
		{good, es.Any, event(func(e *es.EventData) { e.Data = []byte("{") }), []string{"test.happened", "not valid JSON", "another content type"}},
		{good, es.Any, event(func(e *es.EventData) { e.Metadata.Extra = map[string]string{"User": ""} }), []string{`"User"`, "a-z 0-9"}},
		{good, es.Any, event(func(e *es.EventData) { e.Metadata.Extra = map[string]string{"id": ""} }), []string{`"id"`, "choose another"}},
		{good, es.Any, event(func(e *es.EventData) { e.Metadata.Extra = map[string]string{"category": ""} }), []string{`"category"`, "choose another"}},
		{good, es.Any, event(func(e *es.EventData) { e.Metadata.Extra = map[string]string{"dense": ""} }), []string{`"dense"`, "choose another"}},
	} {
		err := es.ValidateAppend(c.stream, c.want, c.events)
		if !errors.Is(err, es.ErrInvalid) {
			t.Errorf("%v: got %v, want ErrInvalid", c.says, err)
			continue
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
	if err := es.ValidateAppend(good, es.Any, event(nothing)); err != nil {
		t.Error(err)
	}
}

func TestParse_stream_ID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]es.StreamID{
		"a/1":     {Category: "a", ID: "1"},
		"a/b/c":   {Category: "a", ID: "b/c"},
		"a.b-c/ö": {Category: "a.b-c", ID: "ö"},
	} {
		got, err := es.ParseStreamID(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a", "/", "a/", "/1", "a b/1", "../1", "a/\n"} {
		if got, err := es.ParseStreamID(text); !errors.Is(err, es.ErrInvalid) {
			t.Errorf("%q: got %v, %v, want ErrInvalid", text, got, err)
		}
	}
}

func ExampleParseStreamID() {
	s, err := es.ParseStreamID("account/a-1")
	fmt.Println(s.Category, s.ID, err)
	_, err = es.ParseStreamID("account")
	fmt.Println(err)
	// Output:
	// account a-1 <nil>
	// es: invalid: stream "account" must have the form category/id
}
