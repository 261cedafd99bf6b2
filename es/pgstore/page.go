package pgstore

import (
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// Page is consecutive events of the log.
type Page struct {
	Events   []es.RecordedEvent
	payloads []byte // of the events, but for those that came when there was less room
}

// firstPayloads is the room for the payloads of a new page, in bytes.
const firstPayloads = 64 << 10

// hold copies a payload.
func (p *Page) hold(payload []byte) []byte {
	from, to := len(p.payloads), len(p.payloads)+len(payload)
	if to > cap(p.payloads) { // the payloads that are there stay where they are
		p.payloads = make([]byte, 0, max(2*cap(p.payloads), len(payload), firstPayloads))
		from, to = 0, len(payload)
	}
	p.payloads = append(p.payloads, payload...)
	return p.payloads[from:to:to]
}

// spare are pages that nobody uses any more.
//
//nolint:gochecknoglobals // memory, which is nobody's
var spare sync.Pool

func newPage(limit int) *Page {
	if p, ok := spare.Get().(*Page); ok && cap(p.Events) >= limit {
		p.Events, p.payloads = p.Events[:0], p.payloads[:0]
		return p
	}
	return &Page{Events: make([]es.RecordedEvent, 0, limit)}
}

// add reads a row into the page, and returns the bytes of its payload and metadata.
func (r *row) add(rows pgx.Rows) (bytes int, err error) {
	r.page.Events = append(r.page.Events, es.RecordedEvent{})
	e := &r.page.Events[len(r.page.Events)-1]
	err = r.scan(rows, e)
	return len(e.Data) + len(r.metadata), err
}

// Recycle gives the memory of a page back, which another then has. Copies of its events stay
// as they are, but for their payloads; pointers to events must not be used any more.
func (p *Page) Recycle() { spare.Put(p) }
