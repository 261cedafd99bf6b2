package projections

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es/pgstore"
)

// Projector keeps one projection's read model. It is safe for concurrent use, and
// any number of them, here and in other processes, may run the same projection.
type Projector struct {
	target  Target
	store   *pgstore.Store // the log; nil when there is none
	def     *definition
	invalid error // of the definition: what every method returns
	source  source
	log     *slog.Logger
	poll    time.Duration
	batch   int
	program string // empty: the executable
	process int

	room   int   // bytes for rows in memory
	parked int64 // units at most that are parked

	turn    sync.Mutex // held by a batch on the live build: others wait without a connection
	memory  *memory    // of the live build; of whose turn it is
	mu      sync.Mutex
	bound   map[int64]model // by build
	done    atomic.Int64    // batches committed: see Run
	cleared atomic.Bool     // Status shows no failure of before
	kept    atomic.Int64    // build whose kind of source this Run has seen to
	lives   atomic.Pointer[lives]
	served  atomic.Bool // a build of this version was live while this program ran: see ErrRolledBack
}

// Option changes how a projector runs.
type Option func(*Projector)

// WithLogger sets where the projector tells what it does; slog.Default by default.
func WithLogger(log *slog.Logger) Option { return func(p *Projector) { p.log = log } }

// WithPoll sets how often a projector that has caught up asks the log for more while
// nothing is appended: every 75 ms by default. After an event it asks much more often.
// Projectors that have a store in common ask together.
func WithPoll(every time.Duration) Option { return func(p *Projector) { p.poll = every } }

// WithBatch sets how many events of the log, or messages of Kafka, are applied in one
// transaction at most: 1000 by default. Rebuilds have batches of their own.
func WithBatch(events int) Option { return func(p *Projector) { p.batch = events } }

// defaultRoom is about half a million small rows.
const defaultRoom = 128 << 20

// liveShare is the part of it that a projector has which only follows.
const liveShare = 4

// WithMemory sets how many bytes the rows may take, about, that a rebuild or a read as of a
// moment folds in memory: 128 MiB by default. What the garbage collector leaves comes on
// top. More rows than that are folded in parts, for each of which the log is read again;
// when some are written already, they are written and looked up again. A projector that
// follows keeps a quarter of it from one batch to the next.
func WithMemory(bytes int) Option { return func(p *Projector) { p.room = bytes } }

// defaultParked is more than a person looks through, and less than a wrong program would
// park in a minute.
const defaultParked = 10_000

// WithParked sets how much a build may park at most: 10,000 by default, each an event and a
// row that it touches. What exceeds it stops the projector with [ErrTooManyParked]: a
// program that is wrong is not to park the log. With 0 nothing is parked, and what cannot
// be applied stops it. Where a read model is fed from Kafka alone it bounds, too, how many
// streams may wait for events that have not come ([ErrTooManyGaps]).
func WithParked(most int) Option { return func(p *Projector) { p.parked = int64(most) } }

// New returns the projector of a [Fold] or [SQL]. The read model stands in the target: a
// store, whose log it then follows, or with [In] any database, for which an option says
// where the events come from. New asks the database nothing; a mistake in the definition
// or in an option is returned by the first call.
func New(target Target, def Definition, options ...Option) *Projector {
	p := &Projector{target: target, source: logSource{}, log: slog.Default(), poll: 75 * time.Millisecond, batch: 1000, room: defaultRoom, parked: defaultParked, process: os.Getpid(), bound: map[int64]model{}}
	p.lives.Store(newLives())
	p.def, p.invalid = def.compile()
	p.store, _ = target.(*pgstore.Store)
	for _, option := range options {
		option(p)
	}
	if s, fed := p.source.(*kafkaSource); fed && p.store == nil {
		p.source = &topicSource{kafkaSource: s}
	}
	if p.invalid == nil {
		p.invalid = p.checkOptions()
	}
	if p.invalid == nil {
		p.def.instance = newInstance()
		p.log = p.log.With("projection", p.def.name, "version", p.def.version)
		p.invalid = p.source.check(p)
	}
	return p
}

// checkOptions refuses what New was given.
func (p *Projector) checkOptions() error {
	switch {
	case nothing(p.target):
		return fmt.Errorf("%w: %q: the projector has no database to write to: give New a store or a database (In)", ErrInvalid, p.def.name)
	case p.store == nil && p.source.kind() != kindTopic:
		return fmt.Errorf("%w: %q: the projector has no log: give New a store, or say whose log it follows (FromLog), or the topics (FromKafka)", ErrInvalid, p.def.name)
	case p.batch < 1:
		return fmt.Errorf("%w: %q: WithBatch of %d events: give 1 or more", ErrInvalid, p.def.name, p.batch)
	case p.room < 1:
		return fmt.Errorf("%w: %q: WithMemory of %d bytes: give more than zero", ErrInvalid, p.def.name, p.room)
	case p.parked < 0:
		return fmt.Errorf("%w: %q: WithParked of %d: give 0 to park nothing, or more", ErrInvalid, p.def.name, p.parked)
	case p.poll <= 0:
		return fmt.Errorf("%w: %q: WithPoll of %s: give more than zero", ErrInvalid, p.def.name, p.poll)
	case p.log == nil:
		return fmt.Errorf("%w: %q: WithLogger of none: leave it out for slog.Default", ErrInvalid, p.def.name)
	}
	return nil
}

// Name returns the projection's name; empty when its definition is invalid.
func (p *Projector) Name() string {
	if p.def == nil {
		return ""
	}
	return p.def.name
}

// q puts the schema of the books in the place of {asof}.
func (p *Projector) q(sql string) string { return expand(p.target, sql) }

func expand(target Target, sql string) string {
	return strings.ReplaceAll(sql, "{asof}", pgx.Identifier{target.Schema()}.Sanitize())
}
