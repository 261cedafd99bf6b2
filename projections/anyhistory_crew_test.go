package projections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// place is where the events of projections come from, and where their tables stand.
type place struct {
	log    *world // with the events
	target *world // with the tables
	apart  bool   // the log lies in another database
	alone  bool   // there is no log, but for the test
	topic  *cluster
	life   uuid.UUID
}

// crewman is a process that runs projectors until it is stopped or dies.
type crewman struct {
	*place
	name   string // by which the databases know it
	target *pgxpool.Pool
	log    *pgstore.Store
	client *kafka.Client
	net    *frail
	line   *brittle // in its place, or nil
	ctx    context.Context
	stop   context.CancelFunc
	runs   sync.WaitGroup
	mu     sync.Mutex
	failed error
}

// process begins a process that dies at a message; zero: it lives. The connection breaks that
// a line of it loses a message on, if it has such a line.
func (p *place) process(ctx context.Context, name string, at int, line *brittle) (*crewman, error) {
	m := &crewman{place: p, name: name, line: line, net: &frail{lifeline: lifeline{gone: make(chan struct{})}, at: int64(at), calm: at == 0}}
	m.ctx, m.stop = context.WithCancel(ctx)
	m.net.died = m.stop
	var err error
	if m.target, err = m.pool(p.target.pool); err != nil {
		return nil, err
	}
	m.log = pgstore.New(m.target)
	if p.apart {
		pool, err := m.pool(p.log.pool)
		if err != nil {
			return nil, err
		}
		m.log = pgstore.New(pool)
	}
	if p.topic != nil {
		m.client, err = kafka.New(kafka.Config{Brokers: p.topic.brokers, Logger: slog.New(slog.DiscardHandler)})
	}
	return m, err
}

// pool is the way of the process to a database.
func (m *crewman) pool(as *pgxpool.Pool) (*pgxpool.Pool, error) {
	config := as.Config()
	config.ConnConfig.DialFunc = m.net.dial
	if m.line != nil {
		config.ConnConfig.DialFunc = m.line.dial
	}
	config.MinConns, config.MaxConns = 0, 10
	config.ConnConfig.RuntimeParams["application_name"] = m.name
	if m.net.at > 0 || m.line != nil {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // a step is a message
	}
	return pgxpool.NewWithConfig(context.Background(), config)
}

// projector is that of a model in this process, by the topics where there are some and it can
// read them, unless it shall follow the log.
func (m *crewman) projector(model *model, plan *plan, byLog bool) *projections.Projector {
	options := []projections.Option{
		projections.WithBatch(plan.batch), projections.WithMemory(plan.memory), projections.WithPoll(5 * time.Millisecond),
		projections.WithLogger(slog.New(slog.DiscardHandler)), projections.WithBeside(plan.beside),
	}
	var target projections.Target = m.log
	if m.apart || m.alone {
		target = projections.In(m.target, "asof")
	}
	if m.apart {
		options = append(options, projections.FromLog(m.log))
	}
	if m.topic != nil && (m.alone || !byLog && !model.ordered) {
		options = append(options, projections.FromKafka(m.client, projections.WithLogCheck(often)))
	}
	return projections.New(target, model.define(), options...)
}

// run runs the projectors of models.
func (m *crewman) run(models []*model, plan *plan, byLog bool) {
	for _, model := range models {
		p := m.projector(model, plan, byLog)
		m.runs.Go(func() {
			if err := p.Run(m.ctx); err != nil && !m.net.dead.Load() {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.failed = errors.Join(m.failed, fmt.Errorf("Run of %s: %w", model.name, err))
			}
		})
	}
}

// failure is that of a Run which has ended by itself.
func (m *crewman) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

func (m *crewman) dead() bool { return m.net.dead.Load() }

// cut takes the network away.
func (m *crewman) cut() { m.net.die() }

// end stops what runs, and waits until the databases know nothing of it any more.
func (m *crewman) end() error {
	m.stop()
	m.runs.Wait()
	m.target.Close()
	if m.apart {
		m.log.Pool().Close()
	}
	var err error
	if m.client != nil {
		err = m.client.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	gone := holds(ctx, func(ctx context.Context) bool {
		var n int
		of := []string{m.place.target.pool.Config().ConnConfig.Database, m.place.log.pool.Config().ConnConfig.Database} // others have processes of the name
		err := m.place.target.pool.QueryRow(ctx, `select count(*) from pg_stat_activity where application_name = $1 and datname = any($2)`, m.name, of).Scan(&n)
		return err == nil && n == 0
	})
	if gone != nil {
		gone = fmt.Errorf("the sessions of %s do not end", m.name)
	}
	return errors.Join(m.failure(), err, gone)
}

// post publishes events as the relay of their store does.
func (p *place) post(ctx context.Context, category string, events ...es.RecordedEvent) error {
	if len(events) == 0 {
		return nil
	}
	messages := make([]kafka.Message, len(events))
	for i, e := range events {
		messages[i] = kafka.FromEvent(eventSource, category, e)
		messages[i].Headers = append(slices.Clone(messages[i].Headers), kafka.LifeHeader(p.life))
	}
	return p.topic.producer.Publish(ctx, messages...)
}
