package kafka_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/asof-dev/asof/es/kafka"
)

// memberships are the ids under which a consumer was a member.
type memberships struct {
	mu  sync.Mutex
	ids []string
}

// joined notes an id, and stays as long as it may.
func (m *memberships) joined(ctx context.Context, member string) {
	m.mu.Lock()
	m.ids = append(m.ids, member)
	m.mu.Unlock()
	<-ctx.Done()
}

func (m *memberships) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ids) == 0 {
		return ""
	}
	return m.ids[len(m.ids)-1]
}

// A member that is taken out of the group joins again under another id, and the other stays
// what it is. Nothing is lost meanwhile.
func TestRemove_takes_one_member_out(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 4)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	var ids [2]memberships
	var got collector
	for i := range ids {
		group.Joined = ids[i].joined
		consume(t, group, got.collect)
	}
	eventually(t, "both are members", func() bool { return ids[0].last() != "" && ids[1].last() != "" })
	gone, stays := ids[0].last(), ids[1].last()
	if err := c.Remove(testContext(t), group.Name, gone); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is another member", func() bool { return ids[0].last() != gone })
	if id := ids[1].last(); id != stays {
		t.Errorf("the other was %s and is %s", stays, id)
	}
	published := numbered(topic, 100, 10)
	publish(t, newProducer(t, c), published...)
	got.wait(t, len(published))
	if err := c.Remove(testContext(t), group.Name, gone); err != nil {
		t.Errorf("a member that the group does not have: %v", err)
	}
}

func TestRemove_needs_names(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, names := range [][2]string{{"", "member"}, {"group", ""}} {
		if err := c.Remove(testContext(t), names[0], names[1]); !errors.Is(err, kafka.ErrInvalid) {
			t.Errorf("%q: %v", names, err)
		}
	}
}
