package projections

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
)

// offset is how far a build has read a partition.
type offset struct {
	topic     string
	partition int
	id        uuid.UUID // of the topic, where a read model is fed from topics alone; Nil: not known
	from      int64     // what the table has
	next      int64     // what it will have
}

// partition names a partition of a topic.
type partition struct {
	topic  string
	number int
}

// topicIDsSQL reads which topics a build has read. Bind: $1 build.
const topicIDsSQL = `select distinct topic, topic_id from {asof}.offsets where build = $1 and topic_id is not null`

func (p *Projector) topicIDs(ctx context.Context, b build) (map[string]uuid.UUID, error) {
	rows, err := p.target.Pool().Query(ctx, p.q(topicIDsSQL), b.ID)
	if err != nil {
		return nil, explain("read the offsets", err)
	}
	list := map[string]uuid.UUID{}
	var topic string
	var id uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&topic, &id}, func() error { list[topic] = id; return nil })
	return list, explain("read the offsets", err)
}

// offsetsOfSQL reads a build's offsets. Bind: $1 build.
const offsetsOfSQL = `select topic, partition, next_offset from {asof}.offsets where build = $1`

func (p *Projector) offsets(ctx context.Context, db querier, b build) (map[partition]int64, error) {
	rows, err := db.Query(ctx, p.q(offsetsOfSQL), b.ID)
	if err != nil {
		return nil, explain("read the offsets", err)
	}
	list := map[partition]int64{}
	var at partition
	var next int64
	_, err = pgx.ForEachRow(rows, []any{&at.topic, &at.number, &next}, func() error {
		list[at] = next
		return nil
	})
	if err != nil {
		return nil, explain("read the offsets", err)
	}
	return list, nil
}

// moveOffsetSQL moves a partition on, if it is still where the caller found it: a
// process that lost the partition without knowing cannot move it back. Bind: $1
// build, $2 topic, $3 partition, $4 next offset as found, $5 next offset, $6 position.
const moveOffsetSQL = `
update {asof}.offsets set next_offset = $5, position = greatest(position, $6)
where build = $1 and topic = $2 and partition = $3 and next_offset = $4`

// beginOffsetSQL sets where a partition is read from. What another process has set is
// kept, unless it lies beyond the end: then the topic was made anew, or has lost its
// data. Bind: $1 build, $2 topic, $3 partition, $4 next offset, $5 position, $6 id of the
// topic or null.
const beginOffsetSQL = `
insert into {asof}.offsets as p (build, topic, partition, next_offset, position, topic_id) values ($1, $2, $3, $4, $5, $6)
on conflict (build, topic, partition) do update set next_offset = excluded.next_offset where p.next_offset > excluded.next_offset`

func (p *Projector) queueOffsets(out *pgx.Batch, b build, w *work) {
	for _, o := range w.begin {
		out.Queue(p.q(beginOffsetSQL), b.ID, o.topic, o.partition, o.next, int64(b.Position), orNull(o.id))
	}
	if w.offset == nil {
		return
	}
	var last es.Position
	for i := range w.events {
		last = max(last, w.events[i].Position)
	}
	for _, o := range append([]*offset{w.offset}, w.others...) {
		out.Queue(p.q(moveOffsetSQL), b.ID, o.topic, o.partition, o.from, o.next, int64(last)).
			Exec(func(tag pgconn.CommandTag) error {
				if tag.RowsAffected() != 1 {
					return fmt.Errorf("%w: partition %d of %s", errMoved, o.partition, o.topic)
				}
				return nil
			})
	}
}

// oursSQL finds which events stand in the log as Kafka brings them, and returns their
// places in the arrays. Whoever may write to the topic could bring another payload under
// the ids of an event: so all that Apply sees is compared. Bind: arrays of $1 positions,
// $2 event ids, $3 categories, $4 stream ids, $5 versions, $6 types, $7 schemas, $8
// content types, $9 times, $10 SHA-256 of the payloads and of the metadata.
const oursSQL = `
select u.place - 1
from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::int[], $8::text[], $9::timestamptz[], $10::bytea[])
     with ordinality u (position, id, category, stream_id, version, type, schema, content_type, recorded_at, hash, place)
join {asof}.events e on e.position = u.position
where e.event_id = u.id and e.category = u.category and e.stream_id = u.stream_id and e.version = u.version
  and e.type = u.type and e.schema_version = u.schema and coalesce(e.content_type, '` + es.JSONContentType + `') = u.content_type
  and e.recorded_at = u.recorded_at and sha256(e.data) || sha256(e.metadata) = u.hash
order by 1`

// claims are the events of a batch as columns.
type claims struct {
	positions, versions             []int64
	ids, categories, streams, types []string
	schemas                         []int32
	contentTypes                    []string
	times                           []time.Time
	hashes                          [][]byte
}

func claimsOf(events []es.RecordedEvent) claims {
	var c claims
	for i := range events {
		e := &events[i]
		c.positions, c.versions = append(c.positions, int64(e.Position)), append(c.versions, int64(e.Version))
		c.ids, c.types = append(c.ids, e.ID.String()), append(c.types, e.Type)
		c.categories, c.streams = append(c.categories, e.Stream.Category), append(c.streams, e.Stream.ID)
		c.schemas, c.contentTypes = append(c.schemas, int32(max(e.Schema, 1))), append(c.contentTypes, e.ContentType) //nolint:gosec // a schema is small
		c.times = append(c.times, e.RecordedAt)
		metadata, _ := e.Metadata.MarshalBinary() // one that cannot be encoded is not the log's
		data, meta := sha256.Sum256(e.Data), sha256.Sum256(metadata)
		c.hashes = append(c.hashes, append(data[:], meta[:]...))
	}
	return c
}

// queueOurs drops from w the events that the log does not have so: those of another
// store, of a log that was restored to an earlier time, or with another payload. Nothing
// is lost by it, as what the log has and Kafka does not bring is read from the log.
func (p *Projector) queueOurs(batch *pgx.Batch, w *work) {
	if len(w.events) == 0 {
		return
	}
	c := claimsOf(w.events)
	batch.Queue(p.q(oursSQL), c.positions, c.ids, c.categories, c.streams, c.versions, c.types, c.schemas, c.contentTypes, c.times, c.hashes).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		w.keep(found)
		return nil
	})
}

func (w *work) keep(places []int64) {
	kept := make([]es.RecordedEvent, len(places))
	for i, place := range places {
		kept[i] = w.events[place]
	}
	w.foreign += int64(len(w.events) - len(kept))
	w.events = kept
}
