package kafka

import (
	"context"
	"sync"

	kafkago "github.com/segmentio/kafka-go"
)

// member is this process's part in one generation of a group.
type member struct {
	client     *Client
	group      Group
	generation *kafkago.Generation
	handle     func(ctx context.Context, part *Partition) error
	commits    *commits
	ctx        context.Context //nolint:containedctx // of the handlers; a member lives as long as they
	revoke     context.CancelCauseFunc
	parts      []*Partition

	failed chan error    // the first error of a handler
	ended  chan struct{} // closed when run has returned
}

func newMember(ctx context.Context, c *Client, g Group, generation *kafkago.Generation, starts map[string]map[int]int64, handle func(context.Context, *Partition) error) *member {
	m := &member{
		client: c, group: g, generation: generation, handle: handle,
		commits: newCommits(c, generation), failed: make(chan error, 1), ended: make(chan struct{}),
	}
	m.ctx, m.revoke = context.WithCancelCause(ctx)
	for topic, assigned := range generation.Assignments {
		for _, a := range assigned {
			part := &Partition{client: c, topic: topic, number: a.ID, from: g.From, next: a.Offset, committed: a.Offset, commits: m.commits}
			if head, ok := starts[topic][a.ID]; ok && a.Offset < 0 {
				part.next = head
				part.Commit(head) // or the next owner would begin at a later end
			}
			m.parts = append(m.parts, part)
		}
	}
	c.log.Debug("kafka: joined", "group", g.Name, "generation", generation.ID, "partitions", len(m.parts))
	return m
}

// run handles the partitions until the generation ends, and writes the last commits
// while it is still this member's turn: the group cannot go on before run returns.
func (m *member) run(generation context.Context) {
	defer close(m.ended)
	if generation.Err() != nil {
		return // it was over before it began
	}
	var handlers, background sync.WaitGroup
	flushing, stop := context.WithCancel(context.WithoutCancel(m.ctx))
	background.Go(func() { m.commits.run(flushing) })
	for _, part := range m.parts {
		handlers.Go(func() {
			defer part.close()
			if err := m.handle(m.ctx, part); err != nil && m.ctx.Err() == nil {
				m.fail(err)
			}
		})
	}
	<-generation.Done()
	m.revoke(errRevoked)
	handlers.Wait()
	stop()
	background.Wait()
	m.commits.flush(context.WithoutCancel(m.ctx))
}

func (m *member) fail(err error) {
	select {
	case m.failed <- err:
	default:
	}
	m.revoke(errRevoked) // the others stop too
}

// wait returns the error of a handler, or nil when the generation has ended.
func (m *member) wait() error {
	select {
	case err := <-m.failed:
		return err
	case <-m.ended:
	}
	select {
	case err := <-m.failed:
		return err
	default:
		return nil
	}
}
