package projections

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/table"
)

// Querier is what rows are read from: a pool, a connection or a transaction of pgx.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Rows reads rows of a read model. The columns are those that R, the row type of its
// [Fold], has db tags for; from is the rest of the query, and args are its parameters:
//
//	Rows[Wallet](ctx, pool, "from wallets.wallets where cents > $1 order by account", 100)
//
// So what is added to the row type is read, and no list of columns is to be kept. Any
// struct whose fields have db tags will do. Lists of child rows stay empty: read their table,
// by their type. Without rows it returns none, and no error.
func Rows[R any](ctx context.Context, db Querier, from string, args ...any) ([]R, error) {
	fail := func(err error) ([]R, error) {
		return nil, fmt.Errorf("projections: read rows into %v: %w", reflect.TypeFor[R](), err)
	}
	columns, err := columnsOf[R]()
	if err != nil {
		return fail(err)
	}
	if words := strings.Fields(from); len(words) == 0 || !strings.EqualFold(words[0], "from") {
		return fail(fmt.Errorf("%w: the query is %.40q: give it from its word \"from\" on, the columns are put before", ErrInvalid, from))
	}
	rows, err := db.Query(ctx, "select "+columns+" "+from, args...)
	if err != nil {
		return fail(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[R])
	if err != nil {
		return fail(err)
	}
	return list, nil
}

// columnsOf lists the columns of a row type, as SQL.
func columnsOf[R any]() (string, error) {
	row, err := table.TypeOf(reflect.TypeFor[R]())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	names := make([]string, len(row.Fields))
	for i := range names {
		names[i] = table.Quote(row.Fields[i].Column())
	}
	return strings.Join(names, ", "), nil
}
