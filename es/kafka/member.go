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
	starts     map[string]start
	handle     func(ctx context.Context, part *Partition) error
	commits    *commits
	ctx        context.Context //nolint:containedctx // of the handlers; a member lives as long as they
	revoke     context.CancelCauseFunc
	parts      []*Partition

	failed chan error    // the first error of a handler
	ended  chan struct{} // closed when run has returned
}

func newMember(ctx context.Context, c *Client, g Group, generation *kafkago.Generation, known map[string]topicState, starts map[string]start, handle func(context.Context, *Partition) error) *member {
	m := &member{
		client: c, group: g, generation: generation, starts: starts, handle: handle,
		commits: newCommits(c, generation), failed: make(chan error, 1), ended: make(chan struct{}),
	}
	m.ctx, m.revoke = context.WithCancelCause(ctx)
	for topic, assigned := range generation.Assignments {
		if known[topic].Partitions == 0 {
			continue // others know of it already; this one joins again when it does
		}
		for _, a := range assigned {
			m.parts = append(m.parts, &Partition{
				client: c, topic: topic, id: known[topic].ID, number: a.ID, commits: m.commits,
				committed: -1, next: kafkago.FirstOffset, hole: kafkago.FirstOffset, noted: -1,
			})
		}
	}
	c.log.Debug("joined", "group", g.Name, "generation", generation.ID, "partitions", len(m.parts))
	return m
}

// run handles the partitions until the generation ends, and writes the last commits
// while it is still this member's turn: the group cannot go on before run returns.
func (m *member) run(generation context.Context) {
	defer close(m.ended)
	if !m.begin(generation) {
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
	m.commits.finish(context.WithoutCancel(m.ctx))
}

// begin finds out where the partitions are read from; false when the generation or the
// member has ended. kafka-go has asked for the commits, but takes an error for none.
func (m *member) begin(generation context.Context) bool {
	rest := newBackoff()
	var seen failures
	for generation.Err() == nil && m.ctx.Err() == nil {
		err := m.position(generation)
		switch {
		case err == nil:
			return generation.Err() == nil
		case denied(err):
			m.fail(m.client.explain(m.ctx, "read the commits of group "+m.group.Name, err))
			return false
		}
		seen.warn(m.client.log, err, "cannot read the commits yet", "group", m.group.Name)
		_ = rest.Wait(generation)
	}
	return false
}

// position sets the partitions to their commits. A commit in a topic that was there
// before, under the same name, is none; that topic's successor is read from its
// beginning, since all that is in it came after the commit.
func (m *member) position(ctx context.Context) error {
	numbers := make(map[string][]int)
	for _, part := range m.parts {
		numbers[part.topic] = append(numbers[part.topic], part.number)
	}
	if len(numbers) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	found, err := m.client.readCommits(ctx, m.group.Name, numbers)
	if err != nil {
		return err
	}
	for _, part := range m.parts {
		commit, ok := found[part.topic][part.number]
		if ok && commit.in(part.id) {
			part.committed, part.noted = commit.next, commit.next
			part.SeekTo(commit.next)
			continue
		}
		begin := m.starts[part.topic]
		head, known := begin.heads[part.number]
		if ok || !known || begin.id != part.id {
			continue // from the first that is kept
		}
		part.SeekTo(head)
		part.Commit(head) // or the next owner would begin at a later end
	}
	return nil
}

// fail ends the member: Consume returns the error, which closes the group.
func (m *member) fail(err error) {
	select {
	case m.failed <- err:
	default: // another was first
	}
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
