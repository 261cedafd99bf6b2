package command_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections"
)

func (w *world) cents(account string) int64 {
	w.Helper()
	var n int64
	err := w.pool.QueryRow(w.Context(), "select cents from balances.balances where account = $1", account).Scan(&n)
	if err != nil {
		return -1
	}
	return n
}

func TestProject_follows_the_log_until_stopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{100})
	r := w.start("project")
	until(t, "the first events", func() bool { return w.cents("a-1") == 100 })
	w.append("a-1", Deposited{11})
	until(t, "the next event", func() bool { return w.cents("a-1") == 111 })
	r.interrupt().exits(command.ExitOK).has("switched")
	w.append("a-1", Deposited{22})
	named := w.start("project", "balances", "--log-level", "error")
	until(t, "what came meanwhile", func() bool { return w.cents("a-1") == 133 })
	if o := named.interrupt().exits(command.ExitOK); o.err != "" {
		t.Errorf("logged at level error: %s", o.err)
	}
}

func TestProject_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("project", "balances", "nope").exits(command.ExitNotFound).has("known are balances")
	w.run("project", "--from", "somewhere").exits(command.ExitUsage).has("log or kafka")
	w.run("project", "--from", "kafka").exits(command.ExitUsage).has("KAFKA_BROKERS")
	w.run("project", "--log-level", "loud").exits(command.ExitUsage).has("debug, info")
	broken := es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(`[]`)}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "account", ID: "x"}, es.NoStream, broken); err != nil {
		t.Fatal(err)
	}
	ordered := balances("account", 1)
	ordered.Order = projections.LogOrder // which parks nothing
	w = w.with(ordered)
	w.run("project").exits(command.ExitFailure).has("account.opened of account/x version 1", "nothing was written", "or skip event ")
	w.must("status").has("balances failing: ", "or skip event ", "!dead-letters list")
}

// withKafka gives the world brokers, and a category that is a topic of its own.
func withKafka(t *testing.T) (w *world, category string) {
	t.Helper()
	w = newWorld(t)
	w.env["KAFKA_BROKERS"] = strings.Join(embeddedtest.Brokers(t), ",")
	category = fmt.Sprintf("account-%s", es.NewID())
	w.service = service(category)
	w.service.Source = "/" + category
	return w, category
}

func TestRelay_publishes_and_project_reads_it(t *testing.T) {
	t.Parallel()
	w, category := withKafka(t)
	add := func(event Event) {
		t.Helper()
		data, err := codec().Encode(t.Context(), es.StreamID{}, event)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Append(t.Context(), es.StreamID{Category: category, ID: "a-1"}, es.Any, data); err != nil {
			t.Fatal(err)
		}
	}
	add(Opened{"ann"})
	relay := w.start("relay", "-o", "json")
	until(t, "the first event is published", func() bool { s := w.status(); return s.Relay.Position == 1 && s.Relay.Leader != "" })
	w.must("status").has("RELAY AT", ", process ")
	project := w.start("project", "--from", "kafka")
	until(t, "the projector reads Kafka", func() bool {
		return strings.HasPrefix(w.status().Projections[0].Source, "kafka topic "+category)
	})
	add(Deposited{100})
	until(t, "the event arrives", func() bool { return w.cents("a-1") == 100 })
	until(t, "the relay has noted that", func() bool { return w.status().Relay.LagEvents == 0 }) // else it would publish it again
	project.interrupt().exits(command.ExitOK)
	relay.interrupt().exits(command.ExitOK).has(`"msg":"relay is active"`)
	if s := w.status(); s.Relay.LagEvents != 0 || s.Relay.Leader != "" {
		t.Errorf("%+v", s.Relay)
	}
	w.wantSource(category, "/"+category)
}

// A relay may be told another ce_source than the service has. The log knows its events
// whatever they are called.
// Before the relay has made the topic the log is read, and the status says why below
// its table.
func TestProject_without_a_topic_reads_the_log_and_says_why(t *testing.T) {
	t.Parallel()
	w, category := withKafka(t)
	project := w.start("project", "--from", "kafka")
	until(t, "the status says why", func() bool {
		return strings.Contains(w.must("status").out, "balances: reads the log, as kafka topic "+category)
	})
	for line := range strings.Lines(w.must("status").out) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[0] == "balances" && (fields[1] != "1" || fields[2] != "log") {
			t.Errorf("the table has %q", line)
		}
	}
	project.interrupt().exits(command.ExitOK)
}

func TestProject_reads_Kafka_whatever_the_source_is_called(t *testing.T) {
	t.Parallel()
	w, category := withKafka(t)
	relay := w.start("relay", "--source", "/elsewhere")
	project := w.start("project", "--from", "kafka")
	for i := range 3 {
		data, err := codec().Encode(t.Context(), es.StreamID{}, Deposited{100})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Append(t.Context(), es.StreamID{Category: category, ID: "a-1"}, es.Any, data); err != nil {
			t.Fatal(err)
		}
		until(t, "the event arrives", func() bool { return w.cents("a-1") == int64(100*(i+1)) })
		until(t, "the topic is read", func() bool {
			var foreign, read int64
			err := w.store.Pool().QueryRow(t.Context(), `
				select (select sum(foreign_messages) from asof.lanes), (select coalesce(sum(next_offset), 0) from asof.offsets)`).Scan(&foreign, &read)
			if err != nil || foreign != 0 {
				t.Fatalf("%v, %d events of the log were taken for another's", err, foreign)
			}
			return read == int64(i+1)
		})
	}
	project.interrupt().exits(command.ExitOK)
	relay.interrupt().exits(command.ExitOK)
}

// wantSource looks at the first message of the topic.
func (w *world) wantSource(topic, source string) {
	w.Helper()
	client, err := kafka.New(kafka.Config{Brokers: strings.Split(w.env["KAFKA_BROKERS"], ",")})
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	var sources []string
	err = client.Consume(ctx, kafka.Group{Name: "of-" + topic, Topics: []string{topic}}, func(ctx context.Context, part *kafka.Partition) error {
		messages, err := part.Fetch(ctx, 1)
		if err != nil {
			return err
		}
		sources = append(sources, kafka.Source(messages[0]))
		cancel() // one partition has messages: those of one stream
		return nil
	})
	if err != nil || len(sources) != 1 || sources[0] != source {
		w.Fatalf("sources %v, error %v", sources, err)
	}
}

func TestRelay_refuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("relay").exits(command.ExitUsage).has("KAFKA_BROKERS")
	w.run("relay", "--brokers", "nohost").exits(command.ExitUsage).has("host:port")
	w.run("relay", "--brokers", "http://127.0.0.1:1").exits(command.ExitUsage).has("host:port")
	w.run("relay", "now").exits(command.ExitUsage)
	w.env["KAFKA_BROKERS"] = "127.0.0.1:1"
	w.run("relay").exits(command.ExitUnreachable).has("127.0.0.1:1")
	w.env["KAFKA_BROKERS"] = strings.Join(embeddedtest.Brokers(t), ",")
	w.run("relay", "--source", "").exits(command.ExitUsage).has("source")
}

func TestRepair_lets_a_refused_relay_go_on(t *testing.T) {
	t.Parallel()
	w, category := withKafka(t)
	data := es.EventData{ID: es.NewID(), Type: "account.opened", Data: []byte(`{}`)}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: category, ID: "a-1"}, es.Any, data); err != nil {
		t.Fatal(err)
	}
	relay := w.start("relay")
	until(t, "the event is published", func() bool { return w.status().Relay.Position == 1 })
	w.run("repair", "--from", "0").exits(command.ExitBusy).has("stop it")
	relay.interrupt().exits(command.ExitOK)
	if text := w.must("status").out; strings.Contains(text, "nothing reads this log") {
		t.Errorf("a store where it was: %s", text)
	}
	w.exec("update asof.store_identity set database_oid = 1") // as if it were a copy
	w.run("relay").exits(command.ExitBusy).has("restored", "the database's oid", " repair`")
	w.must("status").has("nothing reads this log: the database's oid")
	life := w.status().Log.Life
	w.run("repair").exits(command.ExitUsage).has(`"from" not set`)
	w.run("repair", "--from", "5").exits(command.ExitUsage).has("from 0 to 1")
	w.must("repair", "--from", "0").has("after position 0: 1 events to publish", "Nothing counts as lost", life.String())
	if w.status().Log.Life != life {
		t.Error("a repair without --lost begins another life")
	}
	w.must("repair", "--from", "0", "--lost").has("begins life", "accept")
	if w.status().Log.Life == life {
		t.Error("a repair with --lost goes on in the life before")
	}
	again := w.start("relay")
	until(t, "it is published again", func() bool { return w.status().Relay.Position == 1 })
	again.interrupt().exits(command.ExitOK)
}

// A reaction that has met another life of the store that it consumes goes on when it is
// told.
func TestAccept_lets_a_reaction_go_on(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	life := es.NewID().String()
	w.run("accept").exits(command.ExitUsage).has("REACTION")
	w.run("accept", "reserve").exits(command.ExitUsage).has(`"kept", "life", "source" not set`)
	w.run("accept", "reserve", "--source", "/orders", "--life", "x", "--kept", "3").exits(command.ExitUsage).has("no id")
	w.run("accept", "reserve", "--source", "/orders", "--life", life, "--kept", "-1").exits(command.ExitUsage)
	w.must("accept", "reserve", "--source", "/orders", "--life", life, "--kept", "3").has("reserve goes on in life "+life, "/orders")
	var known string
	if err := w.store.Pool().QueryRow(t.Context(), `select life::text from asof.inbox_lives where consumer = 'reserve' and source = '/orders' and kept is null`).Scan(&known); err != nil || known != life {
		t.Errorf("the reaction knows life %s, %v", known, err)
	}
}
