package books

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// The books of what is parked.

// sequencesSQL reads the sequences of a build that are parked, of all streams or of some.
// Bind: $1 build, $2 categories and $3 ids of streams, or null, $4 source.
const sequencesSQL = `
select category, stream_id, key, min(version) from {asof}.parked
where build = $1 and source = $4 and ($2::text[] is null or (category, stream_id) in (select * from unnest($2::text[], $3::text[])))
group by 1, 2, 3`

// skipsSQL reads which events a projection leaves out. Bind: $1 name.
const skipsSQL = `select event_id, key from {asof}.skips where name = $1`

// QueueParking reads what a build has parked, of the streams of some events or, without
// any, of all. How many units they are stands in the lane.
func (k Books) QueueParking(batch *pgx.Batch, b Build, streams []es.StreamID, into *fold.Parking) {
	var categories, ids []string
	for _, s := range streams {
		categories, ids = append(categories, s.Category), append(ids, s.ID)
	}
	batch.Queue(k.SQL(sequencesSQL), b.ID, categories, ids, into.Source).Query(func(rows pgx.Rows) error {
		s := fold.Sequence{Source: into.Source}
		var v int64
		_, err := pgx.ForEachRow(rows, []any{&s.Stream.Category, &s.Stream.ID, &s.Key, &v}, func() error {
			if into.From == nil {
				into.From = map[fold.Sequence]es.Version{}
			}
			into.From[s] = es.Version(v)
			return nil
		})
		return err
	})
	k.QueueSkips(batch, b.Name, into)
}

// QueueSkips reads what the projection leaves out.
func (k Books) QueueSkips(batch *pgx.Batch, name string, into *fold.Parking) {
	batch.Queue(k.SQL(skipsSQL), name).Query(func(rows pgx.Rows) error {
		var u fold.Unit
		_, err := pgx.ForEachRow(rows, []any{&u.Event, &u.Key}, func() error {
			if into.Skips == nil {
				into.Skips = map[fold.Unit]struct{}{}
			}
			into.Skips[u] = struct{}{}
			return nil
		})
		return err
	})
}

// parkSQL parks units. One that was parked before comes with when that was, and how often
// it was tried. Bind: $1 build; arrays of $2 categories, $3 ids, $4 keys, $5 versions, $6
// positions, $7 events, $8 types, $9 schemas, $10 content types, $11 times, $12 metadata,
// $13 payloads, $14 errors or null, $15 attempts, $16 times or null; $17 source.
const parkSQL = `
insert into {asof}.parked (build, source, category, stream_id, key, key_hash, version, position, event_id, type, schema_version, content_type, recorded_at, metadata, data, error, attempts, first_at)
select $1, $17, category, stream_id, key, sha256(convert_to(key, 'UTF8')), version, position, event_id, type, schema_version, content_type, recorded_at, metadata, data, error, attempts, coalesce(first_at, clock_timestamp())
from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::uuid[], $8::text[], $9::int[], $10::text[], $11::timestamptz[], $12::bytea[], $13::bytea[], $14::text[], $15::int[], $16::timestamptz[])
     u (category, stream_id, key, version, position, event_id, type, schema_version, content_type, recorded_at, metadata, data, error, attempts, first_at)`

// QueueParked writes units that are to be parked.
func (k Books) QueueParked(out *pgx.Batch, b Build, source string, units []fold.ParkedUnit) {
	if len(units) == 0 {
		return
	}
	n := len(units)
	categories, streams, keys, ids, types, contentTypes := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	versions, positions := make([]int64, n), make([]int64, n)
	schemas, attempts := make([]int32, n), make([]int32, n)
	times, firsts := make([]time.Time, n), make([]*time.Time, n)
	metadata, data := make([][]byte, n), make([][]byte, n)
	errors := make([]*string, n)
	for i := range units {
		u := &units[i]
		e := &u.Event
		categories[i], streams[i], keys[i], versions[i], positions[i] = e.Stream.Category, e.Stream.ID, pg.Storable(u.Key), int64(e.Version), int64(e.Position)
		ids[i], types[i], schemas[i], contentTypes[i], times[i] = e.ID.String(), e.Type, int32(e.Schema), e.ContentType, e.RecordedAt //nolint:gosec // a schema is small
		metadata[i], _ = e.Metadata.MarshalBinary()                                                                                   // it was read from the same
		if data[i] = e.Data; e.Data == nil {
			data[i] = []byte{}
		}
		if metadata[i] == nil {
			metadata[i] = []byte{}
		}
		if u.Why != nil {
			text := pg.Storable(u.Why.Error())
			errors[i], attempts[i] = &text, 1
		}
		attempts[i] += u.Attempts
		if !u.First.IsZero() {
			firsts[i] = &u.First
		}
	}
	out.Queue(k.SQL(parkSQL), b.ID, categories, streams, keys, versions, positions, ids, types, schemas, contentTypes, times, metadata, data, errors, attempts, firsts, source)
}
