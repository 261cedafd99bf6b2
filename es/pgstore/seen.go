package pgstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// What a program has read stays known through every start of the server, unlike what it
// has settled: a position that was given to a caller comes back from him, whatever
// happened to the log since.

// recentEvents is how many of the events that were read are looked for after another
// start of the server. The newest alone would not do: an append that was open when a
// backup was made has a lower position than what the backup has, and is not in it.
const recentEvents = 1024

// seen is what this program has read of the log, in one life of the store.
type seen struct {
	mu     sync.Mutex
	life   uuid.UUID
	plain  bool   // somebody relies on it, as he says no more of his place than a position
	recent []mark // the newest that were read, ascending: recentEvents at least, if there are
}

// note keeps what a reader gets that was behind all that was read before.
func (s *seen) note(life uuid.UUID, after es.Checkpoint, events []es.RecordedEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if life != s.life {
		s.life, s.plain, s.recent = life, false, nil
	}
	s.plain = s.plain || after.EventID == uuid.Nil
	var newest es.Position
	if n := len(s.recent); n > 0 {
		newest = s.recent[n-1].position
	}
	for i := range events[max(0, len(events)-recentEvents):] {
		if e := &events[max(0, len(events)-recentEvents)+i]; e.Position > newest {
			s.recent = append(s.recent, mark{position: e.Position, id: e.ID})
		}
	}
	if n := len(s.recent); n > 4*recentEvents {
		s.recent = append(s.recent[:0], s.recent[n-recentEvents:]...)
	}
}

// newest returns the last that was read in a life; nil when nothing was.
func (s *seen) newest(life uuid.UUID) *mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.recent); n > 0 && s.life == life {
		m := s.recent[n-1]
		return &m
	}
	return nil
}

// in returns the life in which was read; Nil when nothing was.
func (s *seen) in() uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// places returns what is looked for after another start of the server.
func (s *seen) places(life uuid.UUID) (positions []int64, ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life != life {
		return nil, nil
	}
	for _, m := range s.recent[max(0, len(s.recent)-recentEvents):] {
		positions, ids = append(positions, int64(m.position)), append(ids, m.id.String())
	}
	return positions, ids
}

// forget drops what is gone, and tells whether somebody relied on it.
func (s *seen) forget() (plain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	plain = s.plain
	s.life, s.plain, s.recent = uuid.Nil, false, nil
	return plain
}

// gap is the first of the events that were read and are not in the log any more, though
// later ones are.
type gap struct {
	life     uuid.UUID
	position es.Position
	why      error
}

// gapSQL finds the first of some events that is not in the log, though a later one of them
// is. Bind: arrays of $1 positions, $2 event ids.
const gapSQL = `
with read as materialized (
    select u.position, exists (select from {asof}.events e where e.position = u.position and e.event_id = u.id::uuid) as there
    from unnest($1::bigint[], $2::text[]) u (position, id)
)
select min(position) from read where not there and position < (select max(position) from read where there)`

// compare looks, in the run that a probe was seen in, for what this program has read in
// those before. What is gone from the middle of the log is refused to all who may have read
// it, as their places do not tell: the events there are in the log. Where the end is gone,
// places tell, so that who is before it goes on, and who begins anew.
func (s *Store) compare(ctx context.Context, p *probe, known *mark) error {
	if positions, ids := s.seen.places(p.life); len(positions) > 0 {
		var first *int64
		if err := s.pool.QueryRow(ctx, s.sql.gap, positions, ids).Scan(&first); err != nil {
			return explain("look for what was read", err)
		}
		if first != nil {
			s.leaveGap(p.life, es.Position(*first))
		}
	}
	if headLost(p, known) {
		s.forget(errHeadLost(known))
	}
	return nil
}

// leaveGap remembers the first of the gaps of a life.
func (s *Store) leaveGap(life uuid.UUID, at es.Position) {
	g := &gap{life: life, position: at, why: errHeadLost(&mark{position: at})}
	for {
		old := s.gap.Load()
		if old != nil && old.life == life && old.position <= at || s.gap.CompareAndSwap(old, g) {
			break
		}
	}
	s.forget(g.why)
}

// refuses is the error for a place behind the gap. One before it is right to go on.
func (g *gap) refuses(p *probe, after es.Checkpoint) error {
	if g == nil || g.life != p.life || after.Position < g.position {
		return nil
	}
	return g.why
}

// forget drops what is known to be gone. Who relied on it goes on no more.
func (s *Store) forget(why error) {
	if s.seen.forget() {
		_ = s.lose(why)
	}
}

func errHeadLost(m *mark) error {
	return restored("the event at position %d, which was read before, is not in the log any more; start this program again after that", m.position)
}

func errLives(was, is uuid.UUID) error {
	return fmt.Errorf("pgstore: %w: this program has read life %s, and this is life %s: take back what was made of the lost events, then start it again", es.ErrAnotherLife, was, is)
}
