package outbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// identity tells a store from its copies. The relay keeps the one that its
// checkpoint is of.
type identity struct {
	store    uuid.UUID // kept in the database: other tables, another id
	events   uint32    // oid of the events table: a restored dump makes the table anew
	system   string    // of the cluster, from initdb; empty when it cannot be read
	timeline string    // moves when a standby is promoted and after point-in-time recovery
}

// Bind: nothing.
const (
	identitySQL = `select id, '{asof}.events'::regclass::oid from {asof}.store_identity`
	systemSQL   = `select system_identifier::text from pg_control_system()`

	// pg_control_checkpoint() shows a new timeline only after the next checkpoint.
	timelineSQL = `select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)`
)

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// readIdentity must not run in a transaction: what the server refuses to tell would
// end it.
func readIdentity(ctx context.Context, db querier, expand func(string) string) (id identity, err error) {
	if err := db.QueryRow(ctx, expand(identitySQL)).Scan(&id.store, &id.events); err != nil {
		return id, err
	}
	if id.system, err = readable(ctx, db, systemSQL); err != nil {
		return id, err
	}
	id.timeline, err = readable(ctx, db, timelineSQL)
	return id, err
}

// readable reads a text, or nothing where the server does not tell: hosted ones may
// withhold such functions.
func readable(ctx context.Context, db querier, sql string) (text string, err error) {
	err = db.QueryRow(ctx, sql).Scan(&text)
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch server.Code {
		case "42501", "42883", "0A000", "55000": // not allowed, no such function, not supported, not now
			return "", nil
		}
	}
	return text, err
}

// differs says in words what is not the same; nothing when all is. What either side
// does not know is not compared.
func (id identity) differs(was identity) string {
	var list []string
	note := func(what, is, was string) {
		if is != "" && was != "" && is != was {
			list = append(list, fmt.Sprintf("%s is %s and was %s", what, is, was))
		}
	}
	note("the store's id", id.store.String(), was.store.String())
	note("the events table's oid", strconv.Itoa(int(id.events)), strconv.Itoa(int(was.events)))
	note("the cluster's system identifier", id.system, was.system)
	note("its timeline", id.timeline, was.timeline)
	return strings.Join(list, ", ")
}
