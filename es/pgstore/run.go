package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// How a reader notices that the log is not the one it has read.
//
// A database is restored, copied, rolled back or promoted while programs that read it
// go on: their pools just connect again. So nothing that a program has settled
// outlives the server's run in which it did; what it has read stays known (see seen).
// Every page comes with a [probe], in the same round trip, which is compared with what
// is known:
//
//   - another start of the server or another table: the place and the life are looked at
//     anew, and the events that this program has read must still be there;
//   - another life: somebody has said by repair that events were lost;
//   - another event, or none, at the settled head, at the reader's own place or where
//     this program has read last: the log was put back;
//   - a server in recovery, a subscription that writes into the log, a sequence behind
//     the log: nothing that is read here is final.
//
// A check for every connection would not do: behind a pooler one connection is many.

// run is what is known of the log while one server runs, in one life of the store.
type run struct {
	life    uuid.UUID
	started time.Time // of the server
	events  uint32    // the table's oid, which is another after a dump was loaded
	settler settler
}

// mark is an event that is in the log.
type mark struct {
	position es.Position
	id       uuid.UUID
}

// uuid is the event's id as a value of a statement; null when there is no event.
func (m mark) uuid() pgtype.UUID { return pgtype.UUID{Bytes: m.id, Valid: m.position > 0} }

// probe is how the log is, seen beside a page.
type probe struct {
	life       uuid.UUID
	started    time.Time
	events     uint32
	recovery   bool
	replicated bool
	subscribed bool        // a subscription writes into the log
	drawn      es.Position // the sequence's last value; -1 when the role may not see it
	after      *uuid.UUID  // the id of the event at the reader's place; nil when there is none
	head       *uuid.UUID  // the same at the settled head
}

// probeSQL is a probe. Bind: $1 the reader's position, $2 the settled head's, each
// null when it need not be looked up.
const probeSQL = `
select life, pg_postmaster_start_time(), {events}::oid, pg_is_in_recovery(), current_setting('synchronous_standby_names') <> '',
       exists (select from pg_subscription_rel where srrelid = {events}),
       case when has_sequence_privilege({sequence}, 'usage, select') then coalesce(pg_sequence_last_value({sequence}), 0) else -1 end,
       (select event_id from {asof}.events where position = $1), (select event_id from {asof}.events where position = $2)
from {asof}.store_identity`

func (p *probe) scan(row pgx.Row) error {
	var after, head *[16]byte
	err := row.Scan((*[16]byte)(&p.life), &p.started, &p.events, &p.recovery, &p.replicated, &p.subscribed, (*int64)(&p.drawn), &after, &head)
	p.after, p.head = (*uuid.UUID)(after), (*uuid.UUID)(head)
	if errors.Is(err, pgx.ErrNoRows) {
		return restored("the table store_identity has lost its row")
	}
	return err
}

// of reports whether a probe was made in a run.
func (p *probe) of(r *run) bool {
	return p.life == r.life && p.started.Equal(r.started) && p.events == r.events
}

func howToRepair() string {
	return "see what was lost, then say so by the command `" + pg.Program() + " repair`"
}

// restored is the error of a log that is not the one that was read.
func restored(format string, args ...any) error {
	return fmt.Errorf("pgstore: %w: %s: %s", es.ErrRestored, fmt.Sprintf(format, args...), howToRepair())
}

// current returns the run that the store is in as far as is known, and looks at it all
// when nothing is known yet.
func (s *Store) current(ctx context.Context) (*run, error) {
	if r := s.run.Load(); r != nil {
		return r, nil
	}
	if err := s.ready(ctx, s.pool); err != nil {
		return nil, err
	}
	var p probe
	if err := p.scan(s.pool.QueryRow(ctx, s.sql.probe, nil, nil)); err != nil {
		return nil, explain("look at the log", err)
	}
	return s.begin(ctx, nil, &p, nil)
}

// look is what a round trip was made in: a run, and the settled head that was known
// before, so that the statements have seen all up to it.
type look struct {
	run   *run
	head  *mark
	known *mark // what must be in the log: the head, or what was read behind it

	replicated bool // synchronous_standby_names is set: found in the round trip
}

// origin is where the round trip was answered.
func (l look) origin() origin { return origin{started: l.run.started, replicated: l.replicated} }

// position is that of the head; zero when none is known.
func (l look) position() es.Position {
	if l.head == nil {
		return 0
	}
	return l.head.position
}

// lookIn is what a round trip is made in now.
func (s *Store) lookIn(r *run) look {
	l := look{run: r, head: r.settler.head.Load(), known: s.seen.newest(r.life)}
	if l.known == nil || l.position() > l.known.position {
		l.known = l.head
	}
	return l
}

// manyRuns is how often a reader begins again because the server was started anew
// under it.
const manyRuns = 5

// errRunEnded: the server was started anew, or another one answers, between two round
// trips. What was found in the run before is not so in this one, which may have been put
// back.
var errRunEnded = errors.New("pgstore: the server was started anew")

// again asks anew when the run has ended under a question of several round trips.
func again[T any](what string, ask func() (T, error)) (answer T, err error) {
	for range manyRuns {
		if answer, err = ask(); !errors.Is(err, errRunEnded) {
			return answer, explain(what, err)
		}
	}
	var none T
	return none, errManyRuns(what)
}

func errManyRuns(what string) error {
	return fmt.Errorf("pgstore: %s: the server was another at each of %d looks: does the pool's URL lead to one database only?", what, manyRuns)
}

// read sends what queue adds behind a probe, in one round trip. When the log turns out
// to be in another run, it begins again there.
func (s *Store) read(ctx context.Context, what string, after es.Checkpoint, queue func(look, *pgx.Batch)) (look, error) {
	for range manyRuns {
		r, err := s.current(ctx)
		if err != nil {
			return look{}, err
		}
		l := s.lookIn(r)
		var p probe
		batch := &pgx.Batch{}
		batch.Queue(s.sql.probe, lookUp(after.Position), l.known.lookUp()).QueryRow(p.scan)
		queue(l, batch)
		err = s.pool.SendBatch(ctx, batch).Close()
		if err != nil && !errors.Is(err, errRunEnded) { // which the probe tells too
			return look{}, explain(what, err)
		}
		next, err := s.judge(ctx, r, &p, after, l.known)
		if err == nil {
			s.tail.wasProbed()
		}
		if err != nil || next == r {
			l.replicated = p.replicated
			return l, err
		}
	}
	return look{}, errManyRuns(what)
}

func lookUp(p es.Position) *int64 {
	if p == 0 {
		return nil
	}
	return (*int64)(&p)
}

func (m *mark) lookUp() *int64 {
	if m == nil {
		return nil
	}
	return lookUp(m.position)
}

// begin confirms the place of the store, looks for what this program has read, and begins
// the run that a probe was seen in, in the place of an older one.
func (s *Store) begin(ctx context.Context, old *run, p *probe, known *mark) (*run, error) {
	if err := p.refused(s); err != nil {
		return nil, err
	}
	if err := s.confirm(ctx); err != nil {
		return nil, err
	}
	if err := s.compare(ctx, p, known); err != nil {
		return nil, err
	}
	r := &run{life: p.life, started: p.started, events: p.events}
	r.settler.pool, r.settler.sql, r.settler.started, r.settler.turn = s.pool, &s.sql, p.started, make(chan struct{}, 1)
	if !s.run.CompareAndSwap(old, r) { // another call has noticed it too, or a repair came
		if now := s.run.Load(); now != nil {
			return now, nil
		}
	}
	if old != nil {
		s.tail.changed()
	}
	return r, nil
}

// refused reports a server on which nothing that is read is final.
func (p *probe) refused(s *Store) error {
	switch {
	case p.recovery:
		return errStandby
	case p.subscribed:
		return fmt.Errorf("pgstore: %w: a subscription writes into %s.events, past the lock that readers rely on: drop it (drop subscription), or let it leave the table out, then run `%s repair`", es.ErrRestored, s.schema, pg.Program())
	}
	return nil
}

// judge compares a probe with what a reader knows. It returns another run when the
// page is to be read again in it.
func (s *Store) judge(ctx context.Context, r *run, p *probe, after es.Checkpoint, known *mark) (*run, error) {
	if err := p.refused(s); err != nil {
		return nil, err
	}
	if err := s.sameLog(p, after, known); err != nil {
		return nil, err
	}
	if p.of(r) && !headLost(p, known) {
		return r, nil
	}
	if p.life != r.life {
		s.forget(errLives(r.life, p.life))
	}
	return s.begin(ctx, r, p, known)
}

// sameLog refuses a log that the reader's place is not in. Who says no more of its
// place than a position relies on what this program has read before.
func (s *Store) sameLog(p *probe, after es.Checkpoint, known *mark) error {
	if after.Life != uuid.Nil && after.Life != p.life {
		return fmt.Errorf("pgstore: %w: position %d is of life %s, and this is life %s: take back what was made of the lost events (rebuild it from the log), then begin from a position of this life", es.ErrAnotherLife, after.Position, after.Life, p.life)
	}
	if after.Position == 0 {
		return nil
	}
	if after.EventID != uuid.Nil {
		if p.after == nil || *p.after != after.EventID {
			return restored("the event at position %d is not the one that was read", after.Position)
		}
		if err := s.gap.Load().refuses(p, after); err != nil {
			return err
		}
		return s.sequence(p, after.Position)
	}
	if lost := s.lost.Load(); lost != nil {
		return *lost
	}
	if r := s.run.Load(); r != nil && r.life != p.life {
		return s.lose(errLives(r.life, p.life))
	}
	if read := s.seen.in(); read != uuid.Nil && read != p.life {
		return s.lose(errLives(read, p.life))
	}
	if headLost(p, known) {
		return s.lose(errHeadLost(known))
	}
	return s.sequence(p, after.Position)
}

func headLost(p *probe, head *mark) bool {
	return head != nil && (p.head == nil || *p.head != head.id)
}

// sequence refuses a sequence that would give positions anew.
func (s *Store) sequence(p *probe, at es.Position) error {
	if p.drawn >= 0 && p.drawn < at {
		return s.behind(p.drawn, at)
	}
	return nil
}

func (s *Store) behind(drawn, at es.Position) error {
	return fmt.Errorf("pgstore: %w: the sequence %s.events_position is at %d, behind the log, which is at %d: run `%s repair`, which mends it", es.ErrRestored, s.schema, drawn, at, pg.Program())
}

// lose remembers that this program has read events that are gone, so that no later
// call goes on from them.
func (s *Store) lose(why error) error {
	s.lost.CompareAndSwap(nil, &why)
	return *s.lost.Load()
}

// Life returns the id of the store's life, which repair renews after a loss of events.
// It is read once in a run of the server.
func (s *Store) Life(ctx context.Context) (uuid.UUID, error) {
	r, err := s.current(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	return r.life, nil
}
