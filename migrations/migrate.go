package migrations

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Up brings every set to its newest version, in the given order; without sets,
// the framework's tables in schema asof. Each file is one transaction: a failed one
// leaves the earlier ones applied and names itself.
//
// A file with the annotation -- +goose NO TRANSACTION has none. When it fails in its
// middle, or its connection does, a part of it is done: Up then ends with
// [ErrUnfinished] until somebody has looked and told the table of versions, by a
// statement that the error gives. Such a file needs a connection without a pooler.
func Up(ctx context.Context, pool *pgxpool.Pool, sets ...Set) error {
	if len(sets) == 0 {
		sets = []Set{Framework("asof")}
	}
	list, err := plans(sets) // before anything is done
	if err != nil {
		return explain("up", err)
	}
	for _, p := range list {
		if err := run(ctx, pool, goal{plan: p, up: true}); err != nil {
			return explain("up "+p.schema, err)
		}
	}
	return nil
}

// Down takes a set back to a version: 0 removes all that it made, with its data. Of a
// set that was never applied it touches nothing.
func Down(ctx context.Context, pool *pgxpool.Pool, set Set, version int64) error {
	what := fmt.Sprintf("down %s to %d", set.Schema, version)
	p, err := set.plan()
	if err == nil && version < 0 {
		err = invalid("give 0 or the number of a file")
	}
	if err != nil {
		return explain(what, err)
	}
	return explain(what, run(ctx, pool, goal{plan: p, to: version}))
}

func run(ctx context.Context, pool *pgxpool.Pool, g goal) error {
	s, err := connect(ctx, pool)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	if err := s.patient(ctx); err != nil {
		return err
	}
	return s.run(ctx, g)
}

// File is one migration and when it was applied; the zero time means not yet.
type File struct {
	Version   int64
	Name      string
	AppliedAt time.Time
	// Unfinished means that it was begun outside a transaction and did not finish, or
	// is at work now.
	Unfinished bool
}

// Status lists a set's files in order. It writes nothing and waits for nobody, so that
// a role that may only read, and a standby, can ask.
func Status(ctx context.Context, pool *pgxpool.Pool, set Set) ([]File, error) {
	what := "status of " + set.Schema
	p, err := set.plan()
	if err != nil {
		return nil, explain(what, err)
	}
	s, err := connect(ctx, pool)
	if err != nil {
		return nil, explain(what, err)
	}
	defer s.close(ctx)
	st, err := p.state(ctx, s.conn)
	if err != nil {
		return nil, explain(what, err)
	}
	list := make([]File, 0, len(p.files))
	for _, f := range p.files {
		row := st.rows[f.version]
		entry := File{Version: f.version, Name: f.name, Unfinished: row.unfinished()}
		if row.Applied {
			entry.AppliedAt = row.At
		}
		list = append(list, entry)
	}
	return list, nil
}
