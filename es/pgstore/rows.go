package pgstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/es"
)

// collect reads rows of columnsSQL, until they have so many bytes of payload and
// metadata, which it returns.
func collect(rows pgx.Rows, most int) (list []es.RecordedEvent, bytes int, err error) {
	defer rows.Close()
	var r row
	for bytes < most && rows.Next() {
		if len(list) == cap(list) { // append would grow a long list in small steps
			list = slices.Grow(list, max(16, len(list)))
		}
		list = append(list, es.RecordedEvent{})
		e := &list[len(list)-1]
		if err := r.scan(rows, e); err != nil {
			return nil, 0, err
		}
		bytes += len(e.Data) + len(r.metadata)
	}
	rows.Close() // reads past the rows that are not wanted
	return list, bytes, rows.Err()
}

// row keeps what is decoded from one row to the next: neighbours mostly share a
// category and a type, and then share their strings too.
type row struct {
	category, kind, contentType, metadata pgtype.DriverBytes // valid until the next row
	lastCategory, lastKind, lastContent   string
	at                                    time.Time
	looked, binary                        bool
	page                                  *Page // which holds the payloads; nil: each has memory of its own
}

// scan reads a row. Values in Postgres's binary format, as they come but in the simple
// protocol, it takes as they are: that is half of what Scan costs.
func (r *row) scan(rows pgx.Rows, e *es.RecordedEvent) error {
	if !r.looked {
		r.looked = true
		r.binary = !slices.ContainsFunc(rows.FieldDescriptions(), func(f pgconn.FieldDescription) bool {
			return f.Format != pgx.BinaryFormatCode && f.DataTypeOID != pgtype.TextOID // which is the same in both
		})
	}
	if r.binary {
		return r.take(rows.RawValues(), e)
	}
	err := rows.Scan((*int64)(&e.Position), &r.category, &e.Stream.ID, (*int64)(&e.Version), (*[16]byte)(&e.ID),
		&r.kind, &e.Schema, &r.contentType, &e.Data, &r.metadata, &r.at)
	if err != nil {
		return err
	}
	return r.finish(e)
}

// postgresEpoch is what timestamps are counted from: 2000-01-01, in microseconds since 1970.
const postgresEpoch = 946_684_800_000_000

// take reads the columns of columnsSQL in binary format.
func (r *row) take(v [][]byte, e *es.RecordedEvent) error {
	const uuidBytes, longBytes, intBytes = 16, 8, 4
	if len(v) != 11 || len(v[0]) != longBytes || len(v[3]) != longBytes || len(v[4]) != uuidBytes || len(v[6]) != intBytes || len(v[10]) != longBytes {
		return errors.New("the columns of the log are of other types than expected: run its migrations")
	}
	long := func(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) } //nolint:gosec // as it was written
	e.Position, e.Version = es.Position(long(v[0])), es.Version(long(v[3]))
	r.category, r.kind, r.contentType, r.metadata = v[1], v[5], v[7], v[9]
	e.Stream.ID = string(v[2])
	copy(e.ID[:], v[4])
	e.Schema = int(int32(binary.BigEndian.Uint32(v[6]))) //nolint:gosec // as it was written
	if r.page != nil {
		e.Data = r.page.hold(v[8])
	} else {
		e.Data = append(make([]byte, 0, len(v[8])), v[8]...)
	}
	r.at = time.UnixMicro(postgresEpoch + long(v[10]))
	return r.finish(e)
}

func (r *row) finish(e *es.RecordedEvent) error {
	e.Stream.Category, e.Type, e.ContentType = shared(&r.lastCategory, r.category), shared(&r.lastKind, r.kind), es.JSONContentType
	if r.contentType != nil {
		e.ContentType = shared(&r.lastContent, r.contentType)
	}
	e.RecordedAt = r.at.UTC()
	if err := e.Metadata.UnmarshalBinary(r.metadata); err != nil {
		return fmt.Errorf("metadata of %s version %d: %w", e.Stream, e.Version, err)
	}
	return nil
}

// shared returns the text, in the memory of the last one when that is equal.
func shared(last *string, text []byte) string {
	if *last != string(text) { // compares without a copy
		*last = string(text)
	}
	return *last
}
