package pgstore

import (
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
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
}

func (r *row) scan(rows pgx.Rows, e *es.RecordedEvent) error {
	err := rows.Scan((*int64)(&e.Position), &r.category, &e.Stream.ID, (*int64)(&e.Version), (*[16]byte)(&e.ID),
		&r.kind, &e.Schema, &r.contentType, &e.Data, &r.metadata, &r.at)
	if err != nil {
		return err
	}
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
