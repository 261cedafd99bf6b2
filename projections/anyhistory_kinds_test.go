package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// unit is an event, and one row that it touches; with an empty key all that it touches.
type unit struct {
	event uuid.UUID
	key   string
}

type units map[unit]bool

// has reports that an event is among them for a row, or as a whole.
func (u units) has(event uuid.UUID, key string) bool {
	return u[unit{event, ""}] || u[unit{event, key}]
}

// model is a kind of definition, and what its rows are: written without the framework.
type model struct {
	name    string // of the projection
	define  func() projections.Definition
	codec   es.Codec[Event]
	ordered bool                                   // it follows the log alone
	keys    func(e Event, r es.Recorded) []string  // as the books write them
	refused func(e Event) bool                     // it can never be applied
	fold    func(applied []part) []string          // a text for each row
	rows    func(schema string) (selects []string) // that give such texts
}

// part is an event that is applied, and to which rows.
type part struct {
	Event
	es.Recorded
	keys []string
}

// models are all kinds of definitions, of a category, until mended with poison in them.
func models(suffix, category string, mended *atomic.Bool) []*model {
	return []*model{
		modelOfBalances(suffix, category, mended),
		modelOfTotals(suffix, category, mended),
		modelOfBaskets(suffix, category, mended),
		modelOfMoves(suffix, category, mended),
		modelOfDaily(suffix, category, mended),
		modelOfLasts(suffix, category),
	}
}

func neverRefused(Event) bool { return false }

// folding folds events into rows, which begin as fresh says and go when gone does.
func folding[R any](fresh func(key string) R, apply func(*R, Event, es.Recorded), gone func(*R) bool, texts func(R) []string) func([]part) []string {
	return func(applied []part) []string {
		rows := map[string]R{}
		for _, p := range applied {
			for _, key := range p.keys {
				row, known := rows[key]
				if !known {
					row = fresh(key)
				}
				apply(&row, p.Event, p.Recorded)
				rows[key] = row
				if gone(&row) {
					delete(rows, key)
				}
			}
		}
		var list []string
		for _, row := range rows {
			list = append(list, texts(row)...)
		}
		slices.Sort(list)
		return list
	}
}

func stays[R any](*R) bool { return false }

// parts are the events of a history that are applied: all that can be read, but for what lacks.
func (m *model) parts(history []es.RecordedEvent, lacks ...units) []part {
	var list []part
	for _, recorded := range history {
		event, err := es.One(m.codec.Decode(context.Background(), nil, recorded))
		if err != nil {
			continue
		}
		p := part{Event: event, Recorded: recorded.Recorded}
		for _, key := range m.keys(event, recorded.Recorded) {
			if !slices.ContainsFunc(lacks, func(u units) bool { return u.has(recorded.ID, key) }) {
				p.keys = append(p.keys, key)
			}
		}
		if len(p.keys) > 0 {
			list = append(list, p)
		}
	}
	return list
}

// parked are those of a history that a program which was mended parks, with what waits behind
// them.
func (m *model) parked(history []es.RecordedEvent, skipped units) units {
	type sequence struct {
		stream es.StreamID
		key    string
	}
	behind, list := map[sequence]bool{}, units{}
	for _, recorded := range history {
		whole := sequence{recorded.Stream, ""}
		event, err := es.One(m.codec.Decode(context.Background(), nil, recorded))
		if errors.Is(err, es.ErrUnknownType) || skipped[unit{recorded.ID, ""}] {
			continue
		}
		if err != nil || behind[whole] {
			behind[whole], list[unit{recorded.ID, ""}] = true, true
			continue
		}
		for _, key := range m.keys(event, recorded.Recorded) {
			s := sequence{recorded.Stream, key}
			if !skipped.has(recorded.ID, key) && (behind[s] || m.refused(event)) {
				behind[s], list[unit{recorded.ID, key}] = true, true
			}
		}
	}
	return list
}

func ofStream(_ Event, r es.Recorded) []string { return []string{r.Stream.ID} }

// tooMuch is what the database lets nobody withdraw, whatever comes with it or after.
const tooMuch = 1 << 40

// modelOfBalances has a row for each stream, and values that the database refuses.
func modelOfBalances(suffix, category string, mended *atomic.Bool) *model {
	def := poisonedBalances(mended)
	def.Name, def.Categories = "balances"+suffix, []string{category}
	def.Table = strings.Replace(def.Table, "cents bigint not null", "cents bigint not null check (cents > -1000000000)", 1)
	return &model{
		name: def.Name, codec: def.Codec, keys: ofStream, refused: func(e Event) bool { return e == Withdrawn{Cents: tooMuch} },
		define: func() projections.Definition { return def },
		fold: folding(func(key string) Balance { return Balance{Account: key} }, balances().Apply, stays[Balance], func(b Balance) []string {
			return []string{fmt.Sprintf("balance %s %s %d %d", b.Account, b.Owner, b.Cents, b.UpdatedAt.UnixMicro())}
		}),
		rows: func(schema string) []string {
			return []string{`select format('balance %s %s %s %s', account, owner, cents, (extract(epoch from updated_at) * 1000000)::bigint) from ` + schema + `balances`}
		},
	}
}

// modelOfTotals has rows that many streams feed, two of them an event.
func modelOfTotals(suffix, category string, mended *atomic.Bool) *model {
	def := poisonedTotals(mended)
	def.Name, def.Categories = "totals"+suffix, []string{category}
	return &model{
		name: def.Name, codec: def.Codec, keys: def.Keys, refused: neverRefused,
		define: func() projections.Definition { return def },
		fold: folding(func(key string) Total { return Total{Bucket: key} }, totals().Apply, stays[Total], func(t Total) []string {
			return []string{fmt.Sprintf("total %s %d %d", t.Bucket, t.Events, t.Cents)}
		}),
		rows: func(schema string) []string {
			return []string{`select format('total %s %s %s', bucket, events, cents) from ` + schema + `totals`}
		},
	}
}

// Basket is a row with child rows, which comes and goes with them.
type Basket struct {
	Account string `db:"account"`
	Events  int64  `db:"events"`
	Lines   []Line `rows:"lines"`
}

// Line is a child row.
type Line struct {
	Slot  int64 `db:"slot"`
	Cents int64 `db:"cents"`
	Last  int64 `db:"last"` // version
}

func (b *Basket) apply(e Event, r es.Recorded) {
	b.Events++
	if _, all := e.(Opened); all {
		b.Lines = nil
		return
	}
	slot := cents(e) % 4
	i := slices.IndexFunc(b.Lines, func(l Line) bool { return l.Slot == slot })
	if _, takes := e.(Withdrawn); takes {
		if i >= 0 {
			b.Lines = slices.Delete(slices.Clone(b.Lines), i, i+1)
		}
		return
	}
	if i < 0 {
		i, b.Lines = len(b.Lines), append(slices.Clone(b.Lines), Line{Slot: slot})
	} else {
		b.Lines = slices.Clone(b.Lines)
	}
	b.Lines[i].Cents += cents(e)
	b.Lines[i].Last = int64(r.Version)
}

// modelOfBaskets has child rows, and rows that are deleted.
func modelOfBaskets(suffix, category string, mended *atomic.Bool) *model {
	gone := func(b *Basket) bool { return b.Events == 4 }
	def := projections.Fold[Basket, Event]{
		Name: "baskets" + suffix, Version: 1, Categories: []string{category}, Codec: codec(), Order: projections.OneStream,
		Table: `create table baskets (account text primary key, events bigint not null);
			create table lines (account text, slot bigint, cents bigint not null, last bigint not null, primary key (account, slot))`,
		Key: func(_ Event, r es.Recorded) string { return r.Stream.ID },
		TryApply: func(b *Basket, e Event, r es.Recorded) error {
			b.apply(e, r)
			if mended.Load() {
				return nil
			}
			return strike(e, "")
		},
		Delete: gone,
	}
	return &model{
		name: def.Name, codec: def.Codec, keys: ofStream, refused: neverRefused,
		define: func() projections.Definition { return def },
		fold: folding(func(key string) Basket { return Basket{Account: key} }, (*Basket).apply, gone, func(b Basket) []string {
			list := []string{fmt.Sprintf("basket %s %d", b.Account, b.Events)}
			for _, l := range b.Lines {
				list = append(list, fmt.Sprintf("line %s %d %d %d", b.Account, l.Slot, l.Cents, l.Last))
			}
			return list
		}),
		rows: func(schema string) []string {
			return []string{
				`select format('basket %s %s', account, events) from ` + schema + `baskets`,
				`select format('line %s %s %s %s', account, slot, cents, last) from ` + schema + `lines`,
			}
		},
	}
}

// modelOfMoves has SQL statements, some of which the database refuses.
func modelOfMoves(suffix, category string, mended *atomic.Bool) *model {
	type row struct {
		account          string
		moves, sum, last int64
	}
	def := projections.Statements[Event]{
		Name: "moves" + suffix, Version: 1, Categories: []string{category}, Codec: codec(), Order: projections.OneStream,
		Tables: `create table moves (account text primary key, moves bigint not null, sum bigint not null, last bigint not null)`,
		Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
			b.Queue(`insert into moves as m values ($1, 1, $2, $3) on conflict (account) do update
				set moves = m.moves + 1, sum = (m.sum * 3 + excluded.sum) % 1000003, last = excluded.last`, r.Stream.ID, cents(e)%7, int64(r.Version))
			if !mended.Load() && strike(e, "") != nil { // strike may panic, too
				b.Queue(`select 1 / 0`)
			}
		},
	}
	return &model{
		name: def.Name, codec: def.Codec, refused: neverRefused,
		keys:   func(Event, es.Recorded) []string { return []string{""} }, // nobody knows the rows
		define: func() projections.Definition { return def },
		fold: func(applied []part) (list []string) {
			rows := map[string]row{}
			for _, p := range applied {
				was := rows[p.Stream.ID]
				rows[p.Stream.ID] = row{p.Stream.ID, was.moves + 1, (was.sum*3 + cents(p.Event)%7) % 1000003, int64(p.Version)}
			}
			for _, r := range rows {
				list = append(list, fmt.Sprintf("move %s %d %d %d", r.account, r.moves, r.sum, r.last))
			}
			slices.Sort(list)
			return list
		},
		rows: func(schema string) []string {
			return []string{`select format('move %s %s %s %s', account, moves, sum, last) from ` + schema + `moves`}
		},
	}
}

// modelOfDaily has rows with a key of two columns, which events write in several ways.
func modelOfDaily(suffix, category string, mended *atomic.Bool) *model {
	def := daily()
	apply, key := def.Apply, def.Key
	def.Name, def.Categories, def.Delete, def.Apply = "daily"+suffix, []string{category}, nil, nil
	def.TryApply = func(d *Daily, e Event, r es.Recorded) error {
		apply(d, e, r)
		if mended.Load() {
			return nil
		}
		return strike(e, "")
	}
	return &model{
		name: def.Name, codec: def.Codec, refused: neverRefused,
		keys: func(e Event, r es.Recorded) []string {
			r.Version = 3 // which writes the number as the database does
			return []string{key(e, r)}
		},
		define: func() projections.Definition { return def },
		fold: func(applied []part) (list []string) {
			rows := map[string]Daily{}
			for _, p := range applied {
				n := cents(p.Event)
				was := rows[p.keys[0]]
				rows[p.keys[0]] = Daily{Cents: was.Cents + n, Events: was.Events + 1, Day: int32(n % 4), Owner: owners()[int(n)%len(owners())]}
			}
			for _, d := range rows {
				list = append(list, fmt.Sprintf("daily %d %s %d %d", d.Day, d.Owner, d.Events, d.Cents))
			}
			slices.Sort(list)
			return list
		},
		rows: func(schema string) []string {
			return []string{`select format('daily %s %s %s %s', day, owner, events, cents) from ` + schema + `daily`}
		},
	}
}

// Last is what came last of many streams.
type Last struct {
	Bucket  string `db:"bucket"`
	Stream  string `db:"stream"`
	Version int64  `db:"version"`
	Count   int64  `db:"count"`
}

// lenient does not know what it cannot read.
type lenient struct{ es.Codec[Event] }

func (l lenient) Decode(ctx context.Context, into []Event, r es.RecordedEvent) ([]Event, error) {
	events, err := l.Codec.Decode(ctx, into, r)
	if err != nil {
		err = es.ErrUnknownType
	}
	return events, err
}

// modelOfLasts needs the order of the log, and so has nothing that stops it.
func modelOfLasts(suffix, category string) *model {
	def := projections.Fold[Last, Event]{
		Name: "lasts" + suffix, Version: 1, Categories: []string{category}, Codec: lenient{codec()},
		Table: `create table lasts (bucket text primary key, stream text not null, version bigint not null, count bigint not null)`,
		Key:   func(e Event, _ es.Recorded) string { return fmt.Sprint(cents(e) % 3) },
		Apply: func(l *Last, _ Event, r es.Recorded) {
			l.Stream, l.Version, l.Count = r.Stream.ID, int64(r.Version), l.Count+1
		},
	}
	return &model{
		name: def.Name, codec: def.Codec, ordered: true, refused: neverRefused,
		keys:   func(e Event, r es.Recorded) []string { return []string{def.Key(e, r)} },
		define: func() projections.Definition { return def },
		fold: folding(func(key string) Last { return Last{Bucket: key} }, def.Apply, stays[Last], func(l Last) []string {
			return []string{fmt.Sprintf("last %s %s %d %d", l.Bucket, l.Stream, l.Version, l.Count)}
		}),
		rows: func(schema string) []string {
			return []string{`select format('last %s %s %s %s', bucket, stream, version, count) from ` + schema + `lasts`}
		},
	}
}
