package pgstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// Status is how far the log has got and what holds its readers back.
type Status struct {
	Head       es.Position // of the last visible event
	Settled    es.Position // no event can appear at or below; may be up to a second old while holders are open, and older on a standby
	Events     int64       // how many there are; about, from the planner's statistics, in a log past position 100,000
	Categories []Category
	Holders    []Holder  // transactions that have appended and are still open, oldest first
	Life       uuid.UUID // of the store: see [es.ErrAnotherLife]
	Moment     time.Time // what was recorded before it is final for everybody; zero when no moment was made so
	Elsewhere  string    // how the store is not where repair has confirmed it, in words; empty when it is
}

// Category is a kind of stream.
type Category struct {
	Name    string
	Streams int64
}

// Holder is a transaction that holds readers back until it ends.
type Holder struct {
	PID         int       // server process; zero for a prepared transaction
	Prepared    string    // name of a prepared transaction: end it with COMMIT PREPARED or ROLLBACK PREPARED
	Application string    // application_name of the session
	State       string    // of the session, such as "idle in transaction"
	Since       time.Time // start of the transaction
}

// Status reads the state of the log in one round trip. Its cost grows with the
// number of streams, not of events.
func (s *Store) Status(ctx context.Context) (Status, error) {
	if err := s.ready(ctx, s.pool); err != nil {
		return Status{}, err
	}
	var st Status
	var known *mark
	var p probe
	r := s.run.Load()
	if r != nil {
		known = r.settler.head.Load()
	}
	batch := &pgx.Batch{}
	batch.Queue(s.sql.probe, nil, known.lookUp()).QueryRow(p.scan)
	batch.Queue(s.sql.status).QueryRow(func(row pgx.Row) error {
		return row.Scan((*int64)(&st.Head), (*int64)(&st.Settled), &st.Events, (*[16]byte)(&st.Life), &st.Moment)
	})
	var was, is place
	batch.Queue(s.sql.place).QueryRow(func(row pgx.Row) error { return scanPlaces(row, &was, &is) })
	batch.Queue(s.sql.categories).Query(func(rows pgx.Rows) (err error) {
		st.Categories, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Category])
		return err
	})
	batch.Queue(s.sql.openAppends).Query(func(rows pgx.Rows) (err error) {
		st.Holders, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Holder])
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return Status{}, explain("read the status", err)
	}
	st.Elsewhere = is.differs(was)
	if st.Moment = st.Moment.UTC(); st.Moment.Unix() == 0 {
		st.Moment = time.Time{}
	}
	if known != nil && p.of(r) && !headLost(&p, known) {
		st.Settled = max(st.Settled, known.position)
	}
	if locks := p.refused(s) == nil; locks && len(st.Holders) == 0 {
		st.Settled = st.Head
	}
	return st, nil
}

const (
	// statusSQL counts a small log, of which there may be no statistics yet. A settled head
	// whose event the log does not have is of another log.
	statusSQL = `
select head.position, coalesce((select s.position from {asof}.settled_head s join {asof}.events e on e.position = s.position), 0),
       case when head.position > 100000 and c.reltuples > 0 then c.reltuples::bigint else (select count(*) from {asof}.events) end,
       (select life from {asof}.store_identity), (select coalesce(moment, 'epoch') from {asof}.settled_head)
from (select coalesce(max(position), 0) as position from {asof}.events) head, pg_class c
where c.oid = {events}`

	categoriesSQL = `select category, count(*) from {asof}.events where version = 1 group by category order by category`

	// openAppendsSQL names the holders of holdersSQL. A prepared transaction has no
	// process; its locks stand under its transaction id.
	openAppendsSQL = `
select coalesce(l.pid, 0), coalesce(p.gid, ''), coalesce(a.application_name, ''), coalesce(a.state, case when l.pid is null then 'prepared' else '' end),
       coalesce(a.xact_start, p.prepared, clock_timestamp())
from pg_locks l
left join pg_stat_activity a on a.pid = l.pid
left join pg_locks x on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock' and x.virtualtransaction = l.virtualtransaction
left join pg_prepared_xacts p on p.transaction = x.transactionid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and l.classid::bigint = {lock} >> 32 and l.objid::bigint = {lock} & 4294967295
order by 5`
)
