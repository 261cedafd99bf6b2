package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/services/inventory"
	"github.com/asof-dev/asof/services/orders"
)

// database is a service's own: its log and its read models.
type database struct {
	pool  *pgxpool.Pool
	store *pgstore.Store
}

func openDatabase(ctx context.Context, url string) (database, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return database{}, err
	}
	return database{pool: pool, store: pgstore.New(pool)}, nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readModel reads a table whole, with times in UTC.
func readModel[R any](ctx context.Context, db querier, table string, key func(*R) string) (map[string]R, error) {
	// Not prepared: the table of this name is another after a switch.
	rows, err := db.Query(ctx, "select * from "+table, pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[R])
	if err != nil {
		return nil, err
	}
	model := make(map[string]R, len(list))
	for i := range list {
		model[key(&list[i])] = list[i]
	}
	return model, nil
}

func summaryKey(r *orders.SummaryRow) string {
	r.PlacedAt, r.UpdatedAt = r.PlacedAt.UTC(), r.UpdatedAt.UTC()
	return r.Order
}

func customerKey(r *orders.CustomerRow) string {
	r.LastOrderAt = r.LastOrderAt.UTC()
	return r.Customer
}

func stockKey(r *inventory.StockRow) string {
	r.UpdatedAt = r.UpdatedAt.UTC()
	return r.Product
}

// same compares a read model with a fold of the log, row by row.
func same[R comparable](fold, model map[string]R) error {
	for key, want := range fold {
		got, ok := model[key]
		if !ok {
			return fmt.Errorf("row %s is missing", key)
		}
		if got != want {
			return fmt.Errorf("row %s is %+v, the log says %+v", key, got, want)
		}
	}
	if len(model) != len(fold) {
		return fmt.Errorf("%d rows, the log says %d", len(model), len(fold))
	}
	return nil
}

// equalsFold compares a table with a fold.
func equalsFold[R comparable](ctx context.Context, db querier, table string, key func(*R) string, fold map[string]R) error {
	model, err := readModel(ctx, db, table, key)
	if err != nil {
		return err
	}
	return same(fold, model)
}

// show prints the answer to a query as a table.
func show(ctx context.Context, db querier, sql string) error {
	fmt.Printf("\n  %s\n\n", sql)
	rows, err := db.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	defer rows.Close()
	for _, f := range rows.FieldDescriptions() {
		fmt.Printf("  %-14s", f.Name)
	}
	fmt.Println()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		for _, v := range values {
			if at, ok := v.(time.Time); ok {
				v = at.UTC().Format(time.DateTime)
			}
			fmt.Printf("  %-14v", v)
		}
		fmt.Println()
	}
	return rows.Err()
}
