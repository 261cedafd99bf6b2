package kafka

import (
	"fmt"
	"strings"
)

// maxTopicBytes is the longest name that brokers take.
const maxTopicBytes = 249

// ValidTopic returns nil for a name that a topic may have, else [ErrInvalid] with what
// is allowed: 1 to 249 of the characters A-Z a-z 0-9 . _ - without "." and "..", and
// none of the names that brokers keep for themselves. Where brokers have a topic whose
// name differs in . and _ alone they refuse it even so: see [TopicsCollide].
func ValidTopic(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: a topic has no name: give 1 to %d of the characters A-Z a-z 0-9 . _ -", ErrInvalid, maxTopicBytes)
	case name == "." || name == "..":
		return fmt.Errorf("%w: topic %q: brokers take no such name", ErrInvalid, name)
	case len(name) > maxTopicBytes:
		return fmt.Errorf("%w: topic %.40q…: the name has %d bytes: give at most %d, with its prefix", ErrInvalid, name, len(name), maxTopicBytes)
	}
	if err := legal("topic", name); err != nil {
		return err
	}
	for _, internal := range []string{"__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"} {
		if TopicsCollide(name, internal) {
			return fmt.Errorf("%w: topic %q: brokers keep %s for themselves: give another name", ErrInvalid, name, internal)
		}
	}
	return nil
}

// ValidTopicPrefix returns nil for what may stand before the names of topics, among
// that nothing at all, else [ErrInvalid].
func ValidTopicPrefix(prefix string) error {
	if len(prefix) >= maxTopicBytes {
		return fmt.Errorf("%w: topic prefix %.40q…: it has %d bytes and leaves none of %d for a name", ErrInvalid, prefix, len(prefix), maxTopicBytes)
	}
	return legal("topic prefix", prefix)
}

// TopicsCollide reports two names of which brokers take but one, since they are the
// same but for . and _, which their metrics do not tell apart.
func TopicsCollide(a, b string) bool {
	return len(a) == len(b) && strings.ReplaceAll(a, ".", "_") == strings.ReplaceAll(b, ".", "_")
}

func legal(what, text string) error {
	for _, r := range text {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
		default:
			return fmt.Errorf("%w: %s %.300q has the character %q: only A-Z a-z 0-9 . _ - are allowed", ErrInvalid, what, text, r)
		}
	}
	return nil
}
