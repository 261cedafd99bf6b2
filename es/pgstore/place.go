package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// place is where a store is. What the server does not tell is empty or zero.
type place struct {
	system, timeline string
	database, events uint32
}

// placeSQL reads where the store was when it was confirmed, and where it is.
const placeSQL = `
select coalesce(s.system_id, ''), coalesce(s.timeline, ''), coalesce(s.database_oid, 0), coalesce(s.events_oid, 0),
       coalesce(p.system_id, ''), coalesce(p.timeline, ''), coalesce(p.database_oid, 0), coalesce(p.events_oid, 0)
from {asof}.store_identity s, {asof}.store_place() p`

func scanPlaces(row pgx.Row, was, is *place) error {
	return row.Scan(&was.system, &was.timeline, &was.database, &was.events, &is.system, &is.timeline, &is.database, &is.events)
}

// differs says in words what is not the same; nothing when all is. What either side
// does not know is not compared.
func (p place) differs(was place) string {
	var list []string
	note := func(what, is, was string) {
		if is != "" && was != "" && is != was {
			list = append(list, fmt.Sprintf("%s is %s and was %s", what, is, was))
		}
	}
	note("the events table's oid", oid(p.events), oid(was.events))
	note("the database's oid", oid(p.database), oid(was.database))
	note("the cluster's system identifier", p.system, was.system)
	note("its timeline", p.timeline, was.timeline)
	return strings.Join(list, ", ")
}

func oid(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

// confirm refuses a store that is not where it was confirmed to be.
func (s *Store) confirm(ctx context.Context) error {
	var was, is place
	if err := scanPlaces(s.pool.QueryRow(ctx, s.sql.place), &was, &is); err != nil {
		return explain("look where the store is", err)
	}
	if text := is.differs(was); text != "" {
		return restored("%s", text)
	}
	return nil
}
