package source

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
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
func (l *lives) has(ctx context.Context, k books.Books, b books.Build) (bool, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if l.ids[b.Name] == b.ID && time.Since(l.asked) < livesEvery {
		return true, nil
	}
	err := l.ask(ctx, k)
	return l.ids[b.Name] == b.ID, fault.Explain("find the live builds", err)
}

func (l *lives) ask(ctx context.Context, k books.Books) error {
	began := time.Now()
	rows, err := k.Pool().Query(ctx, k.SQL(liveIDsSQL))
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

// AskTogether has feeds of one target ask together.
func AskTogether(list []*Feed) {
	type place struct {
		pool   *pgxpool.Pool
		schema string
	}
	byPlace := map[place]*lives{}
	for _, f := range list {
		at := place{f.Applier.Books.Pool(), f.Applier.Books.Schema()}
		if byPlace[at] == nil {
			byPlace[at] = newLives()
		}
		f.lives.Store(byPlace[at])
	}
}
