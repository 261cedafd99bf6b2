package main

import (
	"context"
	"encoding/hex"
	"hash/crc32"
	"math/rand/v2"

	"github.com/asof-dev/asof/es/pgstore"
)

// extreme is a log or a read model that is out of the ordinary. Each is rebuilt, and
// fed from a backlog, beside the same bare programs.
type extreme struct {
	name  string
	share int // of the events of the other sections: one in so many
	store func(ctx context.Context, w *world) (*pgstore.Store, func(), error)
	make  func(l *sales)
}

func extremes() []extreme {
	return []extreme{
		{name: "extreme-streams", share: 1, store: near, make: func(l *sales) { l.streams = 100 }},
		{name: "extreme-hot", share: 1, store: near, make: func(l *sales) { l.key = func(string, sold) string { return "all" } }},
		{name: "extreme-wide", share: 20, store: near, make: widen},
		{name: "extreme-shared", share: 1, store: near, make: func(l *sales) { l.key = func(_ string, e sold) string { return e.Customer } }},
		{name: "extreme-late", share: 1, store: late, make: func(*sales) {}},
	}
}

// near is a store as the other sections have it.
func near(ctx context.Context, w *world) (*pgstore.Store, func(), error) {
	store, err := w.store(ctx)
	return store, func() {}, err
}

// late is a store whose every answer comes later.
func late(ctx context.Context, w *world) (*pgstore.Store, func(), error) {
	var p proxy
	store, err := w.storeOver(ctx, p.dial)
	return store, p.close, err
}

// wide is the size of a row's text where rows are large.
const wide = 10_000

// widen makes rows large, of text that does not compress.
func widen(l *sales) {
	random := make([]byte, wide)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // it returns no error
	text, change := hex.EncodeToString(random), l.change
	l.change = func(row *sale, e sold) {
		first := crc32.ChecksumIEEE([]byte(row.ID)) % wide
		change(row, e)
		row.Customer = text[first : first+wide]
	}
}

func (x extreme) run(ctx context.Context, w *world, s settings, r *report) error {
	events := max(1000, s.projected/x.share)
	compare := func(measure func(l *sales) error) error {
		store, end, err := x.store(ctx, w)
		if err != nil {
			return err
		}
		defer end()
		defer store.Pool().Close()
		l, err := newSales(ctx, store)
		if err != nil {
			return err
		}
		x.make(l)
		return measure(l)
	}
	err := compare(func(l *sales) error {
		if err := l.load(ctx, events); err != nil {
			return err
		}
		return l.compareRebuild(ctx, "rebuild", r.slower())
	})
	if err != nil {
		return err
	}
	return compare(func(l *sales) error { return l.compareLive(ctx, "a backlog", events, r.slower()) })
}
