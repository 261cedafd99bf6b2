package es

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// StreamID names a stream: the events of one aggregate.
type StreamID struct {
	// Category is the kind of stream and becomes the name of a Kafka topic:
	// 1 to [MaxCategory] bytes of A–Z a–z 0–9 . _ -, but not "." or "..", and not
	// beginning with "__" as the topics that Kafka keeps for itself do. A store refuses
	// a category that differs from another of its own in . and _ alone, since for Kafka
	// the two are one.
	Category string
	// ID tells streams of a category apart and becomes the Kafka key: 1 to
	// [MaxID] bytes of UTF-8 without control characters.
	ID string
}

// String returns category/id, which [ParseStreamID] reads back.
func (s StreamID) String() string { return s.Category + "/" + s.ID }

// ParseStreamID reads the form category/id.
func ParseStreamID(text string) (StreamID, error) {
	category, id, ok := strings.Cut(text, "/")
	if !ok {
		return StreamID{}, fmt.Errorf("%w: stream %q must have the form category/id", ErrInvalid, text)
	}
	s := StreamID{Category: category, ID: id}
	return s, s.Validate()
}

// Validate reports a name that could not be stored or published, as [ErrInvalid].
func (s StreamID) Validate() error {
	if err := validName("category", s.Category, MaxCategory, "._-"); err != nil {
		return err
	}
	if s.Category == "." || s.Category == ".." {
		return fmt.Errorf("%w: category %q is not a legal topic name: choose another", ErrInvalid, s.Category)
	}
	if strings.HasPrefix(s.Category, "__") || ofKafka(s.Category) {
		return fmt.Errorf("%w: category %q: Kafka keeps topics that begin with __ for itself: choose another", ErrInvalid, s.Category)
	}
	switch {
	case s.ID == "":
		return fmt.Errorf("%w: stream id is empty: give 1 to %d bytes", ErrInvalid, MaxID)
	case len(s.ID) > MaxID:
		return fmt.Errorf("%w: stream id has %d bytes: at most %d are allowed", ErrInvalid, len(s.ID), MaxID)
	case !utf8.ValidString(s.ID) || strings.ContainsFunc(s.ID, unicode.IsControl):
		return fmt.Errorf("%w: stream id %q must be UTF-8 without control characters", ErrInvalid, s.ID)
	}
	return nil
}

// ofKafka reports a category whose topic Kafka would take for one of its own, as it
// knows no difference between . and _.
func ofKafka(category string) bool {
	switch strings.ReplaceAll(category, ".", "_") {
	case "__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata":
		return true
	}
	return false
}

// validName accepts 1 to limit bytes of letters, digits and the extra characters.
func validName(what, name string, limit int, extra string) error {
	if name == "" {
		return fmt.Errorf("%w: %s is empty: give 1 to %d bytes", ErrInvalid, what, limit)
	}
	if len(name) > limit {
		return fmt.Errorf("%w: %s has %d bytes: at most %d are allowed", ErrInvalid, what, len(name), limit)
	}
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && strings.IndexByte(extra, c) < 0 {
			return fmt.Errorf("%w: %s %q has the character %q: use only A-Z a-z 0-9 %s", ErrInvalid, what, name, c, extra)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
