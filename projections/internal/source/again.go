package source

import (
	"context"
	"errors"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/apply"
)

// applyAgain fills the work of a stream that is read again by its messages up to where the
// partition is read. Where the last of its events has parts behind that, they are read too: they
// may be there, as another stream's event that is not whole holds up the partition.
func (s *Kafka) applyAgain(ctx context.Context, w *apply.Work, messages []kafka.Message) error {
	m, up := s.mail(messages), len(messages)
	w.Sparse = up > 0
	for i := range up {
		l := m.at(i)
		w.Life, w.Sparse = l.life, w.Sparse && l.sparse // it passes holes where all say that there are
		e, state := m.whole(i)
		if state == open {
			more, err := s.partsBehind(ctx, w, m.messages)
			if err != nil {
				return err
			}
			m = s.mail(more)
			e, state = m.whole(i)
		}
		if state == complete {
			w.Events, w.Offsets = append(w.Events, e), append(w.Offsets, l.offset)
		}
	}
	return nil
}

// partsBehind returns messages with those of the stream that lie behind where the partition is
// read.
func (s *Kafka) partsBehind(ctx context.Context, w *apply.Work, messages []kafka.Message) ([]kafka.Message, error) {
	if last := messages[len(messages)-1]; last.Offset >= w.Offset.Next { // they were read
		return messages, nil
	}
	heads, err := s.Client.Heads(ctx, w.Offset.Topic)
	if err != nil {
		return nil, err
	}
	err = s.Client.Range(ctx, w.Offset.Topic, w.Offset.Partition, w.Offset.Next, heads[w.Offset.Partition], func(more []kafka.Message) error {
		for _, m := range more {
			if l := s.read(m); l.ours && l.event.Stream == w.Again.Stream && l.source == w.Again.Source {
				messages = append(messages, m)
			}
		}
		return nil
	})
	if errors.Is(err, kafka.ErrGone) {
		err = nil
	}
	return messages, err
}
