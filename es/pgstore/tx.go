package pgstore

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// InTx returns the store inside the caller's transaction: what is appended there is
// recorded if and when the transaction commits. A conflict leaves a read committed
// transaction usable. Keep the time between an append and the commit short:
// readers of the log wait for it.
func (s *Store) InTx(tx pgx.Tx) *Tx { return &Tx{store: s, tx: tx} }

// Tx is a [Store] inside a transaction of the caller's.
type Tx struct {
	store *Store
	tx    pgx.Tx
}

// Tx returns the transaction that InTx was given, for SQL of the caller's own that
// is to be committed with the events. Commit and rollback stay the caller's.
func (t *Tx) Tx() pgx.Tx { return t.tx }

// Append records events in the caller's transaction: see [es.Store]. After
// [es.ErrDuplicateID] and [es.ErrRetry] the transaction must be rolled back.
func (t *Tx) Append(ctx context.Context, stream es.StreamID, want es.Expected, events ...es.EventData) ([]es.RecordedEvent, error) {
	a := appender{store: t.store, db: t.tx, inTx: true, stream: stream, want: want, events: events}
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	recorded, err := a.run(ctx)
	if errors.Is(err, errLostRace) {
		return a.runAlone(ctx)
	}
	return recorded, err
}

// ReadStream reads a stream as the caller's transaction sees it.
func (t *Tx) ReadStream(ctx context.Context, stream es.StreamID, from es.Version) iter.Seq2[es.RecordedEvent, error] {
	return func(yield func(es.RecordedEvent, error) bool) {
		if err := t.store.ready(ctx, t.tx); err != nil {
			yield(es.RecordedEvent{}, err)
			return
		}
		t.store.readStream(ctx, t.tx, stream, from, yield)
	}
}

// Contract returns a contract that payloads of the log were written by: see [es.Contracts].
func (t *Tx) Contract(ctx context.Context, kind, fingerprint string) (es.Contract, error) {
	return t.store.Contract(ctx, kind, fingerprint)
}

// Settle is refused: a transaction would wait for its own appends, and its snapshot
// may be older than the answer. Ask the store outside of the transaction.
func (t *Tx) Settle(context.Context, time.Time) (es.Position, error) { return 0, errSettleInTx }

// SettleTo is refused, as Settle is.
func (t *Tx) SettleTo(context.Context, es.Position) error { return errSettleInTx }
