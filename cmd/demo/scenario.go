package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// scenario is one run of the demo.
type scenario struct {
	*stack
	report
	traffic  *traffic
	ordersDB database
	stockDB  database
	kafka    *kafka.Client
	killed   []string
	rebuilt  rebuilt
}

// demonstrate drives the services, kills parts of them, and verifies.
func demonstrate(ctx context.Context, st *stack, o options) error {
	s := &scenario{stack: st}
	s.traffic = &traffic{orders: newAPI(st.orders, o.clients), inventory: newAPI(st.inventory, o.clients), total: o.orders, clients: o.clients}
	var err error
	if s.ordersDB, err = openDatabase(ctx, st.ready.Databases["orders"]); err != nil {
		return err
	}
	defer func() { s.ordersDB.pool.Close() }() // it may be another by then
	if s.stockDB, err = openDatabase(ctx, st.ready.Databases["inventory"]); err != nil {
		return err
	}
	defer s.stockDB.pool.Close()
	if s.kafka, err = kafka.New(kafka.Config{Brokers: st.ready.Brokers, ClientID: "demo"}); err != nil {
		return err
	}
	defer s.kafka.Close()

	headline(fmt.Sprintf("Driving %d orders through the HTTP API with %d clients", o.orders, o.clients))
	if err := s.drive(ctx); err != nil {
		return err
	}
	headline("Waiting until all is published, reacted to and projected")
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := s.verify(ctx); err != nil {
		return err
	}
	if err := s.restore(ctx); err != nil {
		return err
	}
	return s.verdict()
}

// drive runs the traffic, and what goes wrong meanwhile.
func (s *scenario) drive(ctx context.Context) error {
	if err := s.traffic.stockUp(ctx); err != nil {
		return fmt.Errorf("stock up: %w", err)
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.traffic.run(ctx) })
	group.Go(func() error { return s.disturb(ctx) })
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Printf("  %s\n  in %s\n", s.traffic.summary(), time.Since(began).Round(100*time.Millisecond))
	return nil
}

// disturb kills and rebuilds, each when a part of the orders is through.
func (s *scenario) disturb(ctx context.Context) error {
	for _, at := range []struct {
		percent int64
		do      func() error
	}{
		{15, func() error { return s.crash(s.orders, "relay") }},
		{30, func() error { return s.crash(s.orders, "project") }},
		{40, func() error { return s.crash(s.inventory, "relay") }},
		{50, func() error { return s.rebuild(ctx) }},
		{70, func() error { return s.crash(s.orders, "project") }},
		{80, func() error { return s.crash(s.orders, "relay") }},
	} {
		err := s.poll(ctx, 2*time.Minute, func() (bool, error) {
			return s.traffic.finished.Load()*100 >= at.percent*int64(s.traffic.total), nil
		})
		if err != nil {
			return fmt.Errorf("the traffic stands at %d of %d orders: %w", s.traffic.finished.Load(), s.traffic.total, err)
		}
		if err := at.do(); err != nil {
			return err
		}
	}
	return nil
}

// crash kills a part with kill -9 and starts it again.
func (s *scenario) crash(of service, part string) error {
	if err := s.kill(of, part); err != nil {
		return err
	}
	s.killed = append(s.killed, of.name+" "+part)
	fmt.Printf("  %5d orders through: kill -9 of `%s %s`, started again\n", s.traffic.finished.Load(), of.name, part)
	return s.start(of, part)
}

// status is a part of what `status --output json` says.
type status struct {
	Log struct {
		Head    es.Position `json:"head"`
		Settled es.Position `json:"settled"`
	} `json:"log"`
	Relay struct {
		Position  es.Position `json:"position"`
		LagEvents int64       `json:"lag_events"`
	} `json:"relay"`
	Projections []struct {
		LagEvents int64 `json:"lag_events"`
	} `json:"projections"`
}

func (s *scenario) status(of service) (st status, err error) {
	out, _, err := once(of.environment, of.program, "status", "--output", "json")
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(out, &st)
}

// settle waits until nothing is left to do: twice in a row, both logs end where they
// ended before and nobody lags behind.
func (s *scenario) settle(ctx context.Context) error {
	var before [2]es.Position
	quiet := 0
	return s.poll(ctx, 90*time.Second, func() (bool, error) {
		left, heads := int64(0), [2]es.Position{}
		for i, of := range []service{s.orders, s.inventory} {
			st, err := s.status(of)
			if err != nil {
				return false, err
			}
			heads[i] = st.Log.Head
			left += st.Relay.LagEvents
			for _, p := range st.Projections {
				left += p.LagEvents
			}
		}
		for group, topic := range map[string]string{"inventory": "order", "orders": "reservation"} {
			lag, err := s.kafka.Lag(ctx, group, topic)
			if err != nil {
				return false, err
			}
			left += lag
		}
		if left > 0 || heads != before {
			before, quiet = heads, 0
			return false, nil
		}
		quiet++
		return quiet == 2, nil
	})
}

// logs are those of both services, and their folds.
type logs struct {
	ordersEvents, stockEvents []es.RecordedEvent
	orders                    *orderLog
	stock                     *stockLog
}

func (s *scenario) readLogs(ctx context.Context) (l logs, err error) {
	if l.ordersEvents, err = readAll(ctx, s.ordersDB.store); err != nil {
		return l, err
	}
	if l.stockEvents, err = readAll(ctx, s.stockDB.store); err != nil {
		return l, err
	}
	if l.orders, err = foldOrders(ctx, l.ordersEvents); err != nil {
		return l, err
	}
	l.stock, err = foldStock(ctx, l.stockEvents)
	return l, err
}

// verify holds what came about against what is promised.
func (s *scenario) verify(ctx context.Context) error {
	l, err := s.readLogs(ctx)
	if err != nil {
		return err
	}
	ordersEvents, stockEvents, ordersLog, stockLog := l.ordersEvents, l.stockEvents, l.orders, l.stock
	headline("Reading the read models with plain SQL")
	for _, q := range []struct {
		db  database
		sql string
	}{
		{s.ordersDB, "select status, count(*) as orders, sum(total_cents)::bigint as total_cents from summary.summary group by status order by status"},
		{s.ordersDB, "select customer, orders, shipped, cancelled, paid_cents from customers.customers order by paid_cents desc limit 3"},
		{s.stockDB, "select product, received, reserved, shipped, free from stock.stock order by free limit 3"},
	} {
		if err := show(ctx, q.db.pool, q.sql); err != nil {
			return err
		}
	}
	headline("Verifying")
	s.check("the logs are in order: no position or version twice or left out", firstOf(inOrder(ordersEvents), inOrder(stockEvents)), "%d and %d events", len(ordersEvents), len(stockEvents))
	s.check("whatever was answered with success is in the log, once", s.traffic.kept(ordersLog), "%d orders", len(s.traffic.list))
	s.check("of competing commands at most one won", s.competed(), "")
	s.check("no stock was given away twice, at any moment", stockLog.negative, "%d products", len(stockLog.stock))
	s.check("each order has one reservation, and both services agree on it", agree(ordersLog, stockLog), "%d reservations", len(stockLog.reservations))
	s.topics(ctx, ordersEvents, stockEvents)
	s.fed(ctx)
	s.models(ctx, ordersLog, stockLog)
	s.past(ctx, ordersEvents)
	s.check("a rebuild under load changed no row, and no reader saw a table half built", s.rebuilt.ok(), "%.1f s, through %s; %d reads meanwhile", s.rebuilt.Seconds, strings.Join(s.rebuilt.phases, ", "), s.rebuilt.reads)
	fmt.Printf("  all that after kill -9 of %s\n", strings.Join(s.killed, ", "))
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// competed checks that there was something to win.
func (s *scenario) competed() error {
	refused := 0
	for _, o := range s.traffic.list {
		refused += o.refused
	}
	if refused == 0 {
		return fmt.Errorf("no command was refused: there was no competition")
	}
	return nil
}

// topics compares Kafka with the logs.
func (s *scenario) topics(ctx context.Context, ordersEvents, stockEvents []es.RecordedEvent) {
	for topic, log := range map[string][]es.RecordedEvent{"order": ordersEvents, "reservation": stockEvents, "product": stockEvents} {
		messages, repeats, err := published(ctx, s.kafka, topic, log)
		s.check("topic "+topic+" has every event, in order for each key", err, "%d messages, %d of them repeats that consumers drop", messages, repeats)
	}
}

// models compares every read model with the fold of its log.
func (s *scenario) models(ctx context.Context, o *orderLog, st *stockLog) {
	s.check("read model summary equals the fold of the log", equalsFold(ctx, s.ordersDB.pool, "summary.summary", summaryKey, o.summary), "%d rows", len(o.summary))
	s.check("read model customers equals the fold of the log", equalsFold(ctx, s.ordersDB.pool, "customers.customers", customerKey, o.customers), "%d rows", len(o.customers))
	s.check("read model stock equals the fold of the log", equalsFold(ctx, s.stockDB.pool, "stock.stock", stockKey, st.stock), "%d rows", len(st.stock))
}
