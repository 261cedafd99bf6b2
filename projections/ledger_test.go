package projections_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Ledger is a row with child rows: how often what has happened. It is fed by many streams, or
// by one.
type Ledger struct {
	Bucket string       `db:"bucket"`
	Events int64        `db:"events"`
	Cents  int64        `db:"cents"`
	Lines  []LedgerLine `rows:"lines"`
}

// LedgerLine is a child row.
type LedgerLine struct {
	Kind   string `db:"kind"`
	Events int64  `db:"events"`
}

// refusedCents are more than the table takes.
const refusedCents = 1 << 40

// ledger has two rows an event. Its program is wrong until it is mended.
func ledger(order projections.Order, mended *atomic.Bool) projections.Fold[Ledger, Event] {
	return projections.Fold[Ledger, Event]{
		Name: "ledger", Version: 1, Order: order, Codec: codec(),
		Table: `
			create table ledger (bucket text primary key, events bigint not null, cents bigint not null check (cents < 1 << 30));
			create table lines (bucket text references ledger, kind text, events bigint not null, primary key (bucket, kind))`,
		Keys: func(_ Event, r es.Recorded) []string {
			if order == projections.OneStream {
				return []string{"all of " + r.Stream.ID, fmt.Sprintf("%d of %s", r.Version%2, r.Stream.ID)}
			}
			return []string{"all", "of-" + r.Stream.ID[len(r.Stream.ID)-1:]}
		},
		TryApply: func(l *Ledger, e Event, r es.Recorded) error {
			l.count(e, r)
			if mended.Load() {
				return nil
			}
			bucket, _, _ := strings.Cut(l.Bucket, " ")
			return strike(e, bucket)
		},
	}
}

func (l *Ledger) count(e Event, r es.Recorded) {
	l.Events++
	switch e := e.(type) {
	case Deposited:
		l.Cents += e.Cents
	case Withdrawn:
		l.Cents -= e.Cents
	}
	i := slices.IndexFunc(l.Lines, func(line LedgerLine) bool { return line.Kind == r.Type })
	if i < 0 {
		i = len(l.Lines)
		l.Lines = append(l.Lines, LedgerLine{Kind: r.Type})
	}
	l.Lines[i].Events++
}

// foldLedger is what the tables must hold, a text for each row: written without the framework.
// What is out is left out: of an event one row, or with an empty key all of them.
func foldLedger(order projections.Order, history []es.RecordedEvent, out func(e es.RecordedEvent, key string) bool) []string {
	rows := map[string]*Ledger{}
	for _, recorded := range history {
		e, err := es.One(codec().Decode(context.Background(), nil, recorded))
		if err != nil || out(recorded, "") {
			continue
		}
		for _, key := range ledger(order, nil).Keys(e, recorded.Recorded) {
			if out(recorded, key) {
				continue
			}
			if rows[key] == nil {
				rows[key] = &Ledger{}
			}
			rows[key].count(e, recorded.Recorded)
		}
	}
	var list []string
	for key, row := range rows {
		list = append(list, fmt.Sprintf("%s: %d events, %d cents", key, row.Events, row.Cents))
		for _, line := range row.Lines {
			list = append(list, fmt.Sprintf("%s: %s %d", key, line.Kind, line.Events))
		}
	}
	slices.Sort(list)
	return list
}

// ledgerIn reads the tables of a schema.
func ledgerIn(t testing.TB, db queries, schema string) []string {
	t.Helper()
	in := pgx.Identifier{schema}.Sanitize()
	rows, err := db.Query(t.Context(), fmt.Sprintf(`
		select format('%%s: %%s events, %%s cents', bucket, events, cents) from %[1]s.ledger
		union all
		select format('%%s: %%s %%s', bucket, kind, events) from %[1]s.lines`, in), pgx.QueryExecModeExec)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}
