package pgstore

import (
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// statements is the SQL of one store, with its schema's name in place.
type statements struct {
	one, many           [3]string // append, by kind of expectation
	lost, again         string
	lockStream          string
	category, register  string
	contract            string
	keptContract        string
	keepContract        string
	readStream, exists  string
	readLog, scan       string // the limit comes behind
	probe, place, ready string
	gap                 string
	mayAppend           string
	head, holders       string
	loadHead, storeHead string
	moment, raise       string
	storeMoment         string
	momentHolds         string
	sameLog             string
	momentName          string
	status, categories  string
	openAppends         string
	sums, sum, extent   string
	repair              repairStatements
}

func newStatements(schema string) statements {
	with := func(sql string, more ...string) string {
		return pg.Expand(schema, sql, append(more, words(schema)...)...)
	}
	st := statements{
		lost: with(lostSQL), again: with(againSQL), lockStream: with(lockStreamSQL), category: with(categorySQL), register: with(registerSQL),
		contract: with(contractSQL), keptContract: with(keptContractSQL), keepContract: with(keepContractSQL),
		readStream: with(readStreamSQL) + " ", exists: with(existsSQL), readLog: with(readLogSQL) + " ", scan: with(scanSQL) + " ",
		probe: with(probeSQL), place: with(placeSQL), gap: with(gapSQL), ready: with(readySQL), mayAppend: with(mayAppendSQL),
		head: with(headSQL), holders: with(holdersSQL), loadHead: with(loadHeadSQL), storeHead: with(storeHeadSQL),
		moment: with(momentSQL), raise: with(raiseSQL), storeMoment: with(storeMomentSQL), momentHolds: with("select " + momentHoldsSQL), sameLog: with("select " + sameLogSQL),
		momentName: schema + ".settled_moment",
		status:     with(statusSQL), categories: with(categoriesSQL), openAppends: with(openAppendsSQL), sums: with(sumsSQL), sum: with(sumSQL), extent: with(extentSQL),
		repair: newRepairStatements(with),
	}
	for kind, probe := range probes() {
		st.one[kind] = with(appendOneSQL, "{last}", probe[0], "{condition}", probe[1])
		st.many[kind] = with(appendManySQL, "{last}", probe[0], "{condition}", probe[1])
	}
	return st
}

// words are what stands for names in the statements.
//
// {lock} is the transaction-scoped advisory lock that every append holds shared until
// it is committed or rolled back: "asof" in ASCII, and the table's oid, so that each
// store has its own; {momentLock} is that of the settled moment, "asog". The planner
// folds them to constants, and plans them anew when the table is another.
func words(schema string) []string {
	name := func(of string) string { return pg.Literal(pg.Quote(schema, of)) + "::regclass" }
	key := func(class int) string {
		return fmt.Sprintf(`((%d::bigint << 32) | %s::oid::bigint)`, class, name("events"))
	}
	const asof, asog = 0x61736f66, 0x61736f67
	return []string{
		"{events}", name("events"), "{sequence}", name("events_position"), "{moment}", name("settled_moment"),
		"{lock}", key(asof), "{momentLock}", key(asog),
	}
}

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
