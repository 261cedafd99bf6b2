package pgstore

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// statements is the SQL of one store, with its schema's name in place.
type statements struct {
	one, many           [3]string // append, by kind of expectation
	lost, lockStream    string
	readStream, exists  string
	readLog             string
	now, head, holders  string
	loadHead, storeHead string
	check               string
	status, categories  string
	openAppends         string
}

func newStatements(schema string) statements {
	name := pgx.Identifier{schema}.Sanitize()
	lit := "'" + pgx.Identifier{schema, "events"}.Sanitize() + "'"
	with := func(sql string, more ...string) string {
		return expand(sql, append([]string{"SCHEMA", name, "EVENTS_NAME", lit, "SEQUENCE", fmt.Sprintf("'%s'::regclass", pgx.Identifier{schema, "events_position"}.Sanitize()), "LOCK_KEY", fmt.Sprintf(lockKey, lit)}, more...)...)
	}
	st := statements{
		lost: with(lostSQL), lockStream: with(lockStreamSQL),
		readStream: with(readStreamSQL), exists: with(existsSQL), readLog: with(readLogSQL),
		now: with(nowSQL), head: with(headSQL), holders: with(holdersSQL),
		loadHead: with(loadHeadSQL), storeHead: with(storeHeadSQL), check: with(checkSQL),
		status: with(statusSQL), categories: with(categoriesSQL), openAppends: with(openAppendsSQL),
	}
	for kind, probe := range probes() {
		last, condition := probe[0], probe[1]
		st.one[kind] = with(appendOneSQL, "LAST", last, "CONDITION", condition)
		st.many[kind] = with(appendManySQL, "LAST", last, "CONDITION", condition)
	}
	return st
}

// lockKey is the transaction-scoped advisory lock that every append holds shared
// until it is committed or rolled back: "asof" in ASCII, and the table's oid, so
// that each store has its own. The planner folds it to a constant, and plans it
// anew when the table is another.
const lockKey = `((1634955110::bigint << 32) | %s::regclass::oid::bigint)`

// Kinds of expectation: how an append finds the stream's last event, and whether
// it may follow it. $3 is the expected version.
const (
	kindExact = iota
	kindAny
	kindExists
)

func probes() [3][2]string {
	return [3][2]string{
		kindExact:  {`and version = $3`, `$3::bigint = 0 or last.version is not null`},
		kindAny:    {`and $3::bigint is null order by version desc limit 1`, `true`},
		kindExists: {`and $3::bigint is null order by version desc limit 1`, `last.version is not null`},
	}
}

// kindOf returns the kind of statement and its $3.
func kindOf(want es.Expected) (int, *int64) {
	if v, ok := want.Exact(); ok {
		exact := int64(v)
		return kindExact, &exact
	}
	if want == es.StreamExists {
		return kindExists, nil
	}
	return kindAny, nil
}
