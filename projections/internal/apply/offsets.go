package apply

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Offset is how far a build has read a partition.
type Offset struct {
	Topic     string
	Partition int
	ID        uuid.UUID // of the topic, where a read model is fed from topics alone; Nil: not known
	From      int64     // what the table has
	Next      int64     // what it will have
}

// Partition names a partition of a topic.
type Partition struct {
	Topic  string
	Number int
}

// topicIDsSQL reads which topics a build has read. Bind: $1 build.
const topicIDsSQL = `select distinct topic, topic_id from {asof}.offsets where build = $1 and topic_id is not null`

// TopicIDs returns the ids of the topics that a build has read, by name.
func (a *Applier) TopicIDs(ctx context.Context, b books.Build) (map[string]uuid.UUID, error) {
	rows, err := a.Books.Pool().Query(ctx, a.Books.SQL(topicIDsSQL), b.ID)
	if err != nil {
		return nil, fault.Explain("read the offsets", err)
	}
	list := map[string]uuid.UUID{}
	var topic string
	var id uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&topic, &id}, func() error { list[topic] = id; return nil })
	return list, fault.Explain("read the offsets", err)
}

// offsetsOfSQL reads a build's offsets. Bind: $1 build.
const offsetsOfSQL = `select topic, partition, next_offset from {asof}.offsets where build = $1`

// Offsets returns how far a build has read each partition.
func (a *Applier) Offsets(ctx context.Context, db pg.Querier, b books.Build) (map[Partition]int64, error) {
	rows, err := db.Query(ctx, a.Books.SQL(offsetsOfSQL), b.ID)
	if err != nil {
		return nil, fault.Explain("read the offsets", err)
	}
	list := map[Partition]int64{}
	var at Partition
	var next int64
	_, err = pgx.ForEachRow(rows, []any{&at.Topic, &at.Number, &next}, func() error {
		list[at] = next
		return nil
	})
	if err != nil {
		return nil, fault.Explain("read the offsets", err)
	}
	return list, nil
}

// moveOffsetSQL moves a partition on, if it is still where the caller found it: a
// process that lost the partition without knowing cannot move it back. Bind: $1
// build, $2 topic, $3 partition, $4 next offset as found, $5 next offset, $6 position, $7 id of
// the event there.
const moveOffsetSQL = `
update {asof}.offsets set next_offset = $5, position = greatest(position, $6), event_id = case when $6 > position then $7 else event_id end
where build = $1 and topic = $2 and partition = $3 and next_offset = $4`

// beginOffsetSQL sets where a partition is read from. What another process has set is
// kept, unless it lies beyond the end: then the topic was made anew, or has lost its
// data. Bind: $1 build, $2 topic, $3 partition, $4 next offset, $5 position, $6 id of the
// topic or null.
const beginOffsetSQL = `
insert into {asof}.offsets as p (build, topic, partition, next_offset, position, topic_id) values ($1, $2, $3, $4, $5, $6)
on conflict (build, topic, partition) do update set next_offset = excluded.next_offset where p.next_offset > excluded.next_offset`

func (a *Applier) queueOffsets(out *pgx.Batch, b books.Build, w *Work) {
	for _, partition := range w.Lanes {
		if a.Def.Order == fold.OneStream {
			out.Queue(a.Books.SQL(makeLaneSQL), b.ID, laneOf(partition))
		}
	}
	for _, o := range w.Begin {
		out.Queue(a.Books.SQL(beginOffsetSQL), b.ID, o.Topic, o.Partition, o.Next, int64(b.Position), books.OrNull(o.ID))
	}
	if w.Offset == nil {
		return
	}
	var last es.Checkpoint
	for i := range w.Events {
		if e := &w.Events[i]; e.Position > last.Position {
			last = es.Checkpoint{Position: e.Position, EventID: e.ID}
		}
	}
	for _, o := range append([]*Offset{w.Offset}, w.Others...) {
		out.Queue(a.Books.SQL(moveOffsetSQL), b.ID, o.Topic, o.Partition, o.From, o.Next, int64(last.Position), books.OrNull(last.EventID)).
			Exec(func(tag pgconn.CommandTag) error {
				if tag.RowsAffected() != 1 {
					return fmt.Errorf("%w: partition %d of %s", fault.ErrMoved, o.Partition, o.Topic)
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

// storeLifeSQL reads the life of the log. Bind: nothing.
const storeLifeSQL = `select life from {asof}.store_identity`

// judge holds the events of w against the log: with what is in the batch, or in the log's own
// database. There the log may have been put back without the read model: in another life,
// versions that were lost are given again.
func (a *Applier) judge(ctx context.Context, batch *pgx.Batch, b books.Build, w *Work) error {
	if a.Beside() {
		a.queueOurs(batch, w)
		return nil
	}
	log := &pgx.Batch{}
	log.Queue(a.logSQL(storeLifeSQL)).QueryRow(func(row pgx.Row) error {
		var life uuid.UUID
		err := row.Scan(&life)
		if err == nil && life != b.Life {
			err = fmt.Errorf("projections: %w: %s has events of life %s, and the log is of life %s, which began after a loss of events: rebuild it", es.ErrAnotherLife, b.Name, b.Life, life)
		}
		return err
	})
	a.queueOurs(log, w)
	return a.Log.Pool().SendBatch(ctx, log).Close()
}

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
func (a *Applier) queueOurs(batch *pgx.Batch, w *Work) {
	c := claimsOf(w.Events)
	batch.Queue(a.logSQL(oursSQL), c.positions, c.ids, c.categories, c.streams, c.versions, c.types, c.schemas, c.contentTypes, c.times, c.hashes).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		w.keep(found)
		return nil
	})
}

func (w *Work) keep(places []int64) {
	kept := make([]es.RecordedEvent, len(places))
	for i, place := range places {
		kept[i] = w.Events[place]
	}
	w.Foreign += int64(len(w.Events) - len(kept))
	w.Events = kept
}
