package projections

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/rebuild"
	"github.com/asof-dev/asof/projections/internal/source"
)

// Projector keeps one projection's read model. It is safe for concurrent use, and
// any number of them, here and in other processes, may run the same projection.
type Projector struct {
	apply   *apply.Applier
	feed    *source.Feed // what the source gives to apply
	invalid error        // of the definition: what every method returns
	source  source.Source
	program rebuild.Program

	concurrency *int        // nil: the default
	served      atomic.Bool // a build of this version was live while this program ran: see ErrRolledBack
}

// Option changes how a projector runs.
type Option func(*Projector)

// WithLogger sets where the projector tells what it does; slog.Default by default.
func WithLogger(log *slog.Logger) Option { return func(p *Projector) { p.apply.Logger = log } }

// WithPoll sets how often a projector that has caught up asks the log for more while
// nothing is appended: every 75 ms by default. After an event it asks much more often.
// Projectors that have a store in common ask together.
func WithPoll(every time.Duration) Option { return func(p *Projector) { p.feed.Poll = every } }

// WithBatch sets how many events of the log, or messages of Kafka, are applied in one
// transaction at most: 1000 by default. Batches from Kafka are cut to what Apply takes about a
// second for, once the first has shown that it takes long. Rebuilds have batches of their own.
func WithBatch(events int) Option { return func(p *Projector) { p.feed.Batch = events } }

// WithProgram names the program, such as by its release, where a stopped rebuild is to
// be taken up by another binary that fills the tables alike. By default it is the
// executable.
func WithProgram(name string) Option { return func(p *Projector) { p.program.Name = name } }

// defaultRoom is about 600,000 small rows.
const defaultRoom = 128 << 20

// WithMemory sets how many bytes the rows may take, about, that a rebuild or a read as of a
// moment folds in memory: 128 MiB by default. What the garbage collector leaves comes on
// top, up to as much again; GOMEMLIMIT in the environment bounds that. More rows than that are folded in parts, for each of which the log is read again;
// when some are written already, they are written and looked up again. A projector that
// follows keeps a quarter of it from one batch to the next.
func WithMemory(bytes int) Option { return func(p *Projector) { p.apply.Room = bytes } }

// WithConcurrency sets for how many rows Apply is called at the same time, at most: for four
// for each processor by default, where it has shown to take 10 µs or more. With 1 it is called
// for one row after the other.
func WithConcurrency(rows int) Option {
	return func(p *Projector) { p.concurrency = &rows }
}

// defaultParked is more than a person looks through, and less than a wrong program would
// park in a minute.
const defaultParked = 10_000

// WithParked sets how much a build may park at most: 10,000 by default, each an event and a
// row that it touches. What exceeds it stops the projector with [ErrTooManyParked]: a
// program that is wrong is not to park the log. With 0 nothing is parked, and what cannot
// be applied stops it. Where a read model is fed from Kafka alone it bounds, too, how many
// streams may wait for events that have not come ([ErrTooManyGaps]).
func WithParked(most int) Option { return func(p *Projector) { p.apply.Most = int64(most) } }

// New returns the projector of a [Fold] or [Statements]. The read model stands in the target: a
// store, whose log it then follows, or with [In] any database, for which an option says
// where the events come from. New asks the database nothing; a mistake in the definition
// or in an option is returned by the first call.
func New(target Target, def Definition, options ...Option) *Projector {
	applier := &apply.Applier{Books: books.Of(target), Logger: slog.Default(), Room: defaultRoom, Most: defaultParked}
	p := &Projector{
		apply: applier, feed: source.NewFeed(applier, 75*time.Millisecond, 1000), source: source.Log{},
		program: rebuild.Program{Process: os.Getpid(), Instance: uuid.NewString()},
	}
	p.apply.Def, p.invalid = def.compile()
	p.apply.Log, _ = target.(*pgstore.Store)
	for _, option := range options {
		option(p)
	}
	if s, fed := p.source.(*source.Kafka); fed && p.apply.Log == nil {
		p.source = &source.Topics{Kafka: s}
	}
	if p.invalid == nil {
		p.invalid = p.checkOptions()
	}
	if p.invalid == nil {
		if p.concurrency != nil {
			p.apply.Def.Concurrency = *p.concurrency
		}
		if p.apply.Log != nil {
			p.apply.Def.Contracts = p.apply.Log
		}
		p.apply.Logger = p.apply.Logger.With("projection", p.apply.Def.Name, "version", p.apply.Def.Version)
		p.invalid = p.source.Check(p.feed)
	}
	return p
}

// checkOptions refuses what New was given.
func (p *Projector) checkOptions() error {
	switch {
	case nothing(p.apply.Books.Database):
		return fmt.Errorf("%w: %q: the projector has no database to write to: give New a store or a database (In)", fault.ErrInvalid, p.apply.Def.Name)
	case p.apply.Log == nil && p.source.Kind() != books.KindTopic:
		return fmt.Errorf("%w: %q: the projector has no log: give New a store, or say whose log it follows (FromLog), or the topics (FromKafka)", fault.ErrInvalid, p.apply.Def.Name)
	case p.feed.Batch < 1:
		return fmt.Errorf("%w: %q: WithBatch of %d events: give 1 or more", fault.ErrInvalid, p.apply.Def.Name, p.feed.Batch)
	case p.apply.Room < 1:
		return fmt.Errorf("%w: %q: WithMemory of %d bytes: give more than zero", fault.ErrInvalid, p.apply.Def.Name, p.apply.Room)
	case p.concurrency != nil && *p.concurrency < 1:
		return fmt.Errorf("%w: %q: WithConcurrency of %d rows: give 1 or more", fault.ErrInvalid, p.apply.Def.Name, *p.concurrency)
	case p.apply.Most < 0:
		return fmt.Errorf("%w: %q: WithParked of %d: give 0 to park nothing, or more", fault.ErrInvalid, p.apply.Def.Name, p.apply.Most)
	case p.feed.Poll <= 0:
		return fmt.Errorf("%w: %q: WithPoll of %s: give more than zero", fault.ErrInvalid, p.apply.Def.Name, p.feed.Poll)
	case p.apply.Logger == nil:
		return fmt.Errorf("%w: %q: WithLogger of none: leave it out for slog.Default", fault.ErrInvalid, p.apply.Def.Name)
	}
	return nil
}

// Name returns the projection's name; empty when its definition is invalid.
func (p *Projector) Name() string {
	if p.apply.Def == nil {
		return ""
	}
	return p.apply.Def.Name
}

// live returns the live build, or [ErrNotBuilt].
func (p *Projector) live(ctx context.Context) (books.Build, error) {
	if p.invalid != nil {
		return books.Build{}, p.invalid
	}
	return p.apply.Live(ctx)
}
