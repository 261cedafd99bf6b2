package table

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
)

// loadSQL returns the statement that reads rows by their primary key, with the key as it
// was asked for and as it is. Bind: an array of texts a column of the key.
func (s *Shape) loadSQL(p Place) string {
	params, keys := s.keyArrays()
	of := strings.ReplaceAll(keys, "k", "u.k")
	is := make([]string, len(s.keys))
	for i := range s.keys {
		is[i] = s.keys[i].textSQL("t." + Quote(s.keys[i].name))
	}
	return p.sql(fmt.Sprintf(`select %s, %s, t.xmin::text::bigint%s from unnest(%s) u (%s) join %s t on %s`,
		of, strings.Join(is, ", "), joined(s.read()), params, keys, s.qualified(p), s.sameKey()))
}

// read are the columns as they are read from a row t.
func (s *Shape) read() []string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = "t." + Quote(c.column)
		if c.texts {
			names[i] += "::text[]"
		}
	}
	return names
}

func (s *Shape) qualified(p Place) string { return pgx.Identifier{p.Schema, s.Name}.Sanitize() }

// PlannedSQL has the statements of a transaction, or of a batch without one, planned for
// the tables as they are. They join keys to a table, for which Postgres would keep the
// plan that was right when the table was small, and read all of it for every batch.
const PlannedSQL = `select set_config('plan_cache_mode', 'force_custom_plan', true)`

// Load looks up the rows that were asked for and are not in memory, in one round trip.
func (rs *Rows[R]) Load(ctx context.Context, send Send) error {
	if len(rs.load) == 0 {
		return nil
	}
	asked := rs.load
	rs.load = rs.load[:0]
	keys := make([]string, len(asked))
	for i, r := range asked {
		keys[i] = r.key
	}
	args := rs.shape.splitAll(keys)
	batch := &pgx.Batch{}
	batch.Queue(PlannedSQL)
	batch.Queue(rs.shape.loadSQL(rs.place), args...).Query(rs.scan)
	found := make([]*foundChildren, len(rs.shape.children))
	for i := range found {
		found[i] = &foundChildren{child: &rs.shape.children[i], of: make([][]record, len(asked))}
		batch.Queue(found[i].loadSQL(rs.place), args...).Query(found[i].scan)
	}
	if err := send(ctx, batch); err != nil {
		return keyError{fmt.Errorf("load rows of %s: %w", rs.shape.Name, err)}
	}
	if len(found) == 0 {
		return nil
	}
	return rs.take(asked, found)
}

func (rs *Rows[R]) scan(rows pgx.Rows) error {
	parts, n := make([]string, 2*len(rs.shape.keys)), 2*len(rs.shape.keys)
	var xmin int64
	into := make([]any, n+1+len(rs.shape.columns))
	for i := range parts {
		into[i] = &parts[i]
	}
	into[n] = &xmin
	for rows.Next() {
		var value R
		v := reflect.ValueOf(&value).Elem()
		for i := range rs.shape.columns {
			into[n+1+i] = v.FieldByIndex(rs.shape.columns[i].index).Addr().Interface()
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read it into %T: %w", value, err)
		}
		key, text := rs.shape.join(parts[:n/2]), rs.shape.join(parts[n/2:])
		if err := rs.shape.setKey(v, text); err != nil {
			return err
		}
		if err := rs.shape.canonical(v); err != nil {
			return err
		}
		r := rs.byKey[key]
		r.setText(text)
		r.Value, r.Exists, r.found, r.xmin = value, true, present, uint32(xmin) //nolint:gosec // it has 32 bits
	}
	return rows.Err()
}
