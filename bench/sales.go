package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// sold is what every event of the projections' log says: 170 bytes of JSON.
type sold struct {
	Customer string    `json:"customer"`
	Cents    int64     `json:"cents"`
	Currency string    `json:"currency"`
	Note     string    `json:"note"`
	At       time.Time `json:"at"`
}

const (
	soldType     = "sale.changed"
	soldCategory = "sale"
)

// EventType implements [es.Event].
func (sold) EventType() string { return soldType }

// sale is a row of the read model: one a stream, unless the log says otherwise.
type sale struct {
	ID        string    `db:"id"`
	Customer  string    `db:"customer"`
	Cents     int64     `db:"cents"`
	Events    int64     `db:"events"`
	ChangedAt time.Time `db:"changed_at"`
}

const saleColumns = `(id text not null, customer text not null, cents bigint not null, events bigint not null, changed_at timestamptz not null)`

// sales is a log with the read model that is kept of it, by Asof and by bare programs.
type sales struct {
	store   *pgstore.Store
	streams int                                // of the events that are loaded at once; 0: each gets streamLength events
	key     func(stream string, e sold) string // which row an event touches
	change  func(row *sale, e sold)            // both sides fold by it
	order   projections.Order                  // the log's, unless Kafka is read
	loaded  int                                // events of the log
	version int                                // of the last build
	memory  int                                // bytes of rows; 0: the default
	plain   bool                               // encoding/json decodes the events
}

// plainSales is a log as it is in all sections but the extremes.
func plainSales(store *pgstore.Store) *sales {
	return &sales{
		store: store,
		key:   func(stream string, _ sold) string { return stream },
		change: func(row *sale, e sold) {
			row.Customer, row.ChangedAt = e.Customer, e.At
			row.Cents += e.Cents
			row.Events++
		},
	}
}

// newSales returns a log of one event.
func newSales(ctx context.Context, store *pgstore.Store) (*sales, error) {
	l := plainSales(store)
	first := sold{Customer: "customer-0000000", Currency: "EUR", At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	stream := es.StreamID{Category: soldCategory, ID: "first"}
	event, err := l.codec().Encode(ctx, stream, first)
	if err == nil { // through the store, which registers the category
		_, err = store.Append(ctx, stream, es.NoStream, event)
	}
	l.loaded = 1
	return l, err
}

func (l *sales) codec() es.Codec[es.Event] {
	codec := es.JSON[es.Event](sold{})
	if l.plain {
		return plainCodec{codec}
	}
	return codec
}

// plainCodec decodes as a bare program does.
type plainCodec struct{ es.Codec[es.Event] }

func (plainCodec) Decode(_ context.Context, into []es.Event, recorded es.RecordedEvent) ([]es.Event, error) {
	e, err := decodeBare(recorded.Type, recorded.Data)
	if err != nil {
		return into, err
	}
	return append(into, *e), nil
}

// fold is the read model of Asof, under a name and in a version.
func (l *sales) fold(name string, version int) projections.Fold[sale, es.Event] {
	return projections.Fold[sale, es.Event]{
		Name: name, Version: version, Table: `create table ` + name + ` ` + saleColumns[:len(saleColumns)-1] + `, primary key (id))`,
		Codec: l.codec(), Categories: []string{soldCategory}, Order: l.order,
		Key: func(e es.Event, r es.Recorded) string {
			changed := e.(sold) //nolint:forcetypeassert // the codec has no other
			return l.key(r.Stream.ID, changed)
		},
		Apply: func(row *sale, e es.Event, _ es.Recorded) {
			changed := e.(sold) //nolint:forcetypeassert // the codec has no other
			l.change(row, changed)
		},
	}
}

// projector has a store of its own, which knows of no settled head.
func (l *sales) projector(version int, options ...projections.Option) *projections.Projector {
	options = append([]projections.Option{projections.WithLogger(slog.New(slog.DiscardHandler))}, options...)
	if l.memory > 0 {
		options = append(options, projections.WithMemory(l.memory))
	}
	return projections.New(pgstore.New(l.store.Pool()), l.fold("sales", version), options...)
}

// loadLockSQL is the lock that every append holds, so that no reader takes a position
// for empty that is still to be filled.
const loadLockSQL = `select pg_advisory_xact_lock_shared((1634955110::bigint << 32) | 'asof.events'::regclass::oid::bigint)`

// loadSQL loads events of streams that take turns. Bind: $1 number of the first event,
// $2 events, $3 streams.
const loadSQL = `
insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, data, metadata, recorded_at)
select nextval('asof.events_position'), 'sale', 'sale-' || lpad(($1 + i % $3)::text, 10, '0'), i / $3 + 1,
       (lpad(to_hex($1 + i), 12, '0') || '7000' || '8000' || substr(md5(i::text), 1, 12))::uuid, 'sale.changed', 1,
       convert_to(format('{"customer":"customer-%s","cents":%s,"currency":"EUR","note":"%s","at":"%s"}', lpad((($1 + i % $3) / 10)::text, 7, '0'),
           1000 + i % 9000, repeat(md5(i::text), 2), to_char(timestamp '2026-01-01' + i * interval '1 ms', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8'),
       '', (select clock_timestamp())
from (select i from generate_series(0, $2::bigint - 1) i order by i) as numbers`

// load appends n events quickly. Nobody else appends meanwhile.
func (l *sales) load(ctx context.Context, n int) error {
	streams := l.streams
	if streams == 0 {
		streams = max(1, n/streamLength)
	}
	err := pgx.BeginFunc(ctx, l.store.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, loadLockSQL); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, loadSQL, int64(l.loaded), int64(n), int64(streams))
		return err
	})
	if err != nil {
		return fmt.Errorf("load the log: %w", err)
	}
	l.loaded += n
	_, err = l.store.Pool().Exec(ctx, `vacuum (analyze) asof.events`)
	return err
}
