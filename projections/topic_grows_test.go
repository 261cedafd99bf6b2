package projections_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// grow gives the topic one partition more.
func (c *cluster) grow() {
	c.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.brokers...))
	if err != nil {
		c.Fatal(err)
	}
	defer client.Close()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = c.category, partitions+1
	request := kmsg.NewPtrCreatePartitionsRequest()
	request.Topics, request.TimeoutMillis = append(request.Topics, topic), 5000
	answer, err := request.RequestWith(within(c, patient), client)
	if err != nil || answer.Topics[0].ErrorCode != 0 {
		c.Fatal(answer, err)
	}
}

// A topic grows while a rebuild has read it: what the live build has of the new partition, the
// rebuilt tables have too.
func TestTopics_alone_that_grow_before_a_switch_are_read_whole(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	p := g.projector(g.totals())
	start(t, p)
	g.append("a-0", Opened{Owner: "ann"})
	g.tell(eventSource, g.life, g.history()...)
	g.untilAll(p)
	producer := newClient(t, g.brokers...).NewProducer() // which knows the new partition
	t.Cleanup(func() { _ = producer.Close() })
	var once sync.Once
	fill := func() {
		g.grow()
		g.producer = producer
		until(t, "the new partition is read", func() bool {
			return g.target.number(`select count(*) from asof.offsets o join asof.builds b on b.id = o.build where b.status = 'live'`) == partitions+1
		})
		before := len(g.history())
		for n := range 40 {
			g.append(fmt.Sprintf("b-%d", n), Deposited{Cents: 1})
		}
		var told []es.RecordedEvent
		told = append(told, g.history()[before:]...)
		g.tell(eventSource, g.life, told...)
		g.untilAll(p)
		if n := g.target.number(`select count(*) from asof.offsets where partition = $1 and next_offset > 0`, partitions); n != 1 {
			t.Error("nothing came to the new partition")
		}
	}
	err := g.projector(g.totals()).Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" {
			once.Do(fill)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	g.wantTotals()
	g.untilAll(p)
	g.wantTotals()
}
