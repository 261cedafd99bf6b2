package projections

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// lives is which builds are live in a target, for all projectors that run together: one asks
// for all, so that what that costs does not grow with their number. It is safe for concurrent
// use.
type lives struct {
	turn  chan struct{} // whose turn it is to ask, and to look at the rest
	asked time.Time
	ids   map[string]int64 // by the projection's name
}

func newLives() *lives { return &lives{turn: make(chan struct{}, 1)} }

// livesEvery is how old an answer may be that is good for others too.
const livesEvery = time.Second

// liveIDsSQL reads which builds are live. Bind: nothing.
const liveIDsSQL = `select name, id from {asof}.builds where status = 'live'`

// has reports whether a build is the live one of its projection, or was a moment ago. That
// it is not holds now.
func (l *lives) has(ctx context.Context, target Target, b build) (bool, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if l.ids[b.Name] == b.ID && time.Since(l.asked) < livesEvery {
		return true, nil
	}
	err := l.ask(ctx, target)
	return l.ids[b.Name] == b.ID, explain("find the live builds", err)
}

func (l *lives) ask(ctx context.Context, target Target) error {
	began := time.Now()
	rows, err := target.Pool().Query(ctx, expand(target, liveIDsSQL))
	if err != nil {
		return err
	}
	ids := map[string]int64{}
	var name string
	var id int64
	if _, err = pgx.ForEachRow(rows, []any{&name, &id}, func() error { ids[name] = id; return nil }); err != nil {
		return err
	}
	l.ids, l.asked = ids, began
	return nil
}

// askTogether has projectors of one target ask together.
func askTogether(list []*Projector) {
	type place struct {
		pool   any
		schema string
	}
	byPlace := map[place]*lives{}
	for _, p := range list {
		if p.invalid != nil {
			continue
		}
		at := place{p.target.Pool(), p.target.Schema()}
		if byPlace[at] == nil {
			byPlace[at] = newLives()
		}
		p.lives.Store(byPlace[at])
	}
}
