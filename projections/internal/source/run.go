package source

import (
	"bytes"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// letter is a message that was opened.
type letter struct {
	event  es.RecordedEvent
	ours   bool // it is an event that the projection is for
	offset int64
	source string
	life   uuid.UUID
	sparse bool // of a topic in which streams have holes
}

func (s *Kafka) read(m kafka.Message) letter {
	l := letter{offset: m.Offset}
	if l.event, l.ours = s.event(m); l.ours {
		l.source, l.sparse = kafka.Source(m), kafka.Sparse(m)
		l.life, _ = kafka.Life(m)
	}
	return l
}

// alike reports messages that can be applied as one work.
func (l *letter) alike(other *letter) bool {
	return l.source == other.source && l.life == other.life && l.sparse == other.sparse
}

// mail is messages of a partition, each of which is opened when it is looked at.
type mail struct {
	of       *Kafka
	messages []kafka.Message
	opened   []*letter
}

func (s *Kafka) mail(messages []kafka.Message) *mail {
	return &mail{of: s, messages: messages, opened: make([]*letter, len(messages))}
}

func (m *mail) at(i int) *letter {
	if m.opened[i] == nil {
		l := m.of.read(m.messages[i])
		m.opened[i] = &l
	}
	return m.opened[i]
}

// runOf is the work of the first messages that are of one source and life; none when the first
// is part of an event of which others have yet to come, unless it is forced: then it is left
// out, as a gap or for ever.
func (s *Kafka) runOf(at apply.Partition, from int64, messages []kafka.Message, force bool) (*apply.Work, int) {
	w := &apply.Work{Offset: &apply.Offset{Topic: at.Topic, Partition: at.Number, From: from}}
	m := s.mail(messages)
	var first *letter
	for i := range messages {
		l := m.at(i)
		if !l.ours {
			w.Foreign++
			w.Offset.Next = l.offset + 1
			continue
		}
		if first == nil {
			first = l
			w.Source, w.Life, w.Sparse = l.source, l.life, l.sparse
		}
		if !l.alike(first) {
			return w, i
		}
		switch e, state := m.whole(i); {
		case state == complete:
			w.Events, w.Offsets = append(w.Events, e), append(w.Offsets, l.offset)
		case state == open && (i > 0 || !force):
			return w, i
		}
		w.Offset.Next = l.offset + 1
	}
	return w, len(messages)
}

// begins reports that the first message is not of an event of which a part has yet to come.
func (s *Kafka) begins(messages []kafka.Message) bool {
	if kafka.Whole(messages[0]) {
		return true
	}
	m := s.mail(messages)
	_, state := m.whole(0)
	return state != open || !m.at(0).ours
}

// What can be said of an event that begins with a message.
const (
	complete = iota
	open     // a part has yet to come
	broken   // it is not its first part, or parts of it never come
)

// whole returns the event that the i-th message begins, with all of its parts, which may lie
// further on: parts may be repeated from any of them on, as after a crash of the relay.
func (m *mail) whole(i int) (es.RecordedEvent, int) {
	first := m.at(i)
	e := first.event
	if e.Parts <= 1 {
		e.Part, e.Parts = 0, 0
		return e, complete
	}
	if e.Part != 1 {
		return e, broken
	}
	parts := []es.RecordedEvent{e}
	for j := i + 1; j < len(m.messages) && len(parts) < e.Parts; j++ {
		if !bytes.Equal(m.messages[j].Key, m.messages[i].Key) {
			continue
		}
		next := m.at(j)
		switch of := &next.event; {
		case !next.ours || of.Stream != e.Stream || next.source != first.source:
		case next.life != first.life, of.Version > e.Version, of.Version == e.Version && of.Parts != e.Parts: // published anew, as others
			return e, broken
		case of.Version == e.Version && of.Part == len(parts)+1:
			parts = append(parts, *of)
		}
	}
	if len(parts) < e.Parts {
		return e, open
	}
	return fold.Join(parts), complete
}
