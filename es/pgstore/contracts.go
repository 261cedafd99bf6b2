package pgstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// contracts are those that this program knows to be in the store.
type contracts struct {
	mu    sync.RWMutex
	kept  map[contractUse]es.Contract
	texts map[[2]string]es.Contract // by kind and fingerprint
	asked map[[2]string]time.Time   // for what is not there
	turn  chan struct{}             // held by who asks, on a connection of its own
}

// askAgain is when a contract is looked for again that was not there.
const askAgain = time.Second

// find returns what is known of a contract: the error of before, for a while.
func (c *contracts) find(kind, fingerprint string) (found es.Contract, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	key := [2]string{kind, fingerprint}
	if found, known = c.texts[key]; known {
		return found, true
	}
	asked, known := c.asked[key]
	return es.Contract{}, known && time.Since(asked) < askAgain
}

// note remembers a contract, or that there is none.
func (c *contracts) note(found es.Contract) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texts == nil {
		c.texts, c.asked = map[[2]string]es.Contract{}, map[[2]string]time.Time{}
	}
	key := [2]string{found.Kind, found.Fingerprint}
	if found.Text != "" {
		c.texts[key] = found
		return
	}
	if len(c.asked) >= mostAsked {
		clear(c.asked)
	}
	c.asked[key] = time.Now()
}

// mostAsked bounds what is remembered of contracts that are not there: payloads name them.
const mostAsked = 1000

// contractUse is a contract and what is written by it.
type contractUse struct {
	kind, fingerprint, eventType string
	schema                       int
}

func (c *contracts) has(use contractUse, contract es.Contract) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.kept[use] == contract
}

// add remembers a contract that the store keeps, or one that is the same.
func (c *contracts) add(use contractUse, contract es.Contract) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[contractUse]es.Contract{}
	}
	c.kept[use] = contract
	delete(c.asked, [2]string{use.kind, use.fingerprint})
}

const (
	// contractSQL finds a contract. Bind: $1 kind, $2 fingerprint.
	contractSQL = `select text, meaning from {asof}.contracts where kind = $1 and fingerprint = $2 order by recorded_at limit 1`

	// keptContractSQL is contractSQL for events of a type and schema version. Bind: $3 type,
	// $4 schema version.
	keptContractSQL = `select text, meaning from {asof}.contracts where kind = $1 and fingerprint = $2 and type = $3 and schema_version = $4`

	// keepContractSQL keeps a contract unless it is there, or another has its fingerprint.
	// Bind: as keptContractSQL, $5 text, $6 meaning.
	keepContractSQL = `
insert into {asof}.contracts (kind, fingerprint, type, schema_version, text, meaning)
select $1, $2, $3, $4, $5, $6 where not exists (select from {asof}.contracts
  where kind = $1 and fingerprint = $2 and (meaning <> $6 or meaning = '' and text <> $5))
on conflict do nothing`
)

// keepContracts makes sure that the store has what the events are written by. As with
// categories it is committed by itself before the append: a contract without an event does no
// harm, and an event without its contract could not be read.
func (s *Store) keepContracts(ctx context.Context, db db, events []es.EventData, inTx bool) error {
	for i := range events {
		e := &events[i]
		if e.Contract == nil {
			continue
		}
		use := contractUse{e.Contract.Kind, e.Contract.Fingerprint, e.Type, max(e.Schema, 1)}
		if s.contracts.has(use, *e.Contract) {
			continue
		}
		if err := s.keepContract(ctx, db, use, e.Contract, inTx); err != nil {
			return explain("keep the contract of "+e.Type, err)
		}
		s.contracts.add(use, *e.Contract)
	}
	return nil
}

func (s *Store) keepContract(ctx context.Context, db db, use contractUse, c *es.Contract, inTx bool) error {
	kept, err := s.keptContract(ctx, db, use)
	if err == nil && kept.Text == "" {
		kept, err = s.keepNewContract(ctx, use, c, inTx)
	}
	if err == nil && !kept.Same(*c) {
		err = fmt.Errorf("pgstore: %w: the store has another contract of kind %s with fingerprint %s: a fingerprint is to be of the text", es.ErrInvalid, c.Kind, c.Fingerprint)
	}
	return err
}

// keptContract returns what is kept, without a text when nothing is.
func (s *Store) keptContract(ctx context.Context, db db, use contractUse) (es.Contract, error) {
	rows, err := db.Query(ctx, s.sql.keptContract, use.kind, use.fingerprint, use.eventType, use.schema)
	if err != nil {
		return es.Contract{}, err
	}
	return first(rows, use.kind, use.fingerprint)
}

// first is the first contract of rows of text and meaning, or one without a text.
func first(rows pgx.Rows, kind, fingerprint string) (es.Contract, error) {
	found := es.Contract{Kind: kind, Fingerprint: fingerprint}
	defer rows.Close()
	if rows.Next() {
		if err := rows.Scan(&found.Text, &found.Meaning); err != nil {
			return found, err
		}
	}
	rows.Close()
	return found, rows.Err()
}

// keepNewContract returns what is kept then; nothing when another contract has the
// fingerprint. Inside the caller's transaction it takes a connection beside the pool.
func (s *Store) keepNewContract(ctx context.Context, use contractUse, c *es.Contract, inTx bool) (kept es.Contract, err error) {
	keep := func(on interface {
		db
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	}) error {
		args := []any{use.kind, use.fingerprint, use.eventType, use.schema, c.Text, c.Meaning}
		_, err := on.Exec(ctx, s.sql.keepContract, args...)
		if pg.LostRace(err) { // of an isolation that the role has by default
			_, err = on.Exec(ctx, s.sql.keepContract, args...)
		}
		if err == nil {
			kept, err = s.keptContract(ctx, on, use)
		}
		return err
	}
	if !inTx {
		err = keep(s.pool)
		return kept, err
	}
	err = s.beside(ctx, func(conn *pgx.Conn) error { return keep(conn) })
	return kept, err
}

// Contract returns a contract that payloads of the log were written by: see [es.Contracts]. It
// asks the database once for each, on a connection beside the pool, since who reads the log
// holds one of these.
func (s *Store) Contract(ctx context.Context, kind, fingerprint string) (es.Contract, error) {
	c, known := s.contracts.find(kind, fingerprint)
	if !known {
		var err error
		if c, err = s.lookUp(ctx, kind, fingerprint); err != nil {
			return es.Contract{}, fmt.Errorf("pgstore: look up the contract %s %s: %w: %w", kind, fingerprint, es.ErrUnavailable, err)
		}
	}
	if c.Text == "" {
		return es.Contract{}, fmt.Errorf("%w: %s %s is not in the table %s.contracts", es.ErrUnknownContract, kind, fingerprint, s.schema)
	}
	return c, nil
}

// lookUp asks the database, one at a time: many may ask at once, each for a connection.
func (s *Store) lookUp(ctx context.Context, kind, fingerprint string) (c es.Contract, err error) {
	select {
	case s.contracts.turn <- struct{}{}:
		defer func() { <-s.contracts.turn }()
	case <-ctx.Done():
		return c, ctx.Err()
	}
	if c, known := s.contracts.find(kind, fingerprint); known { // by who was before
		return c, nil
	}
	c = es.Contract{Kind: kind, Fingerprint: fingerprint}
	err = s.beside(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, s.sql.contract, kind, fingerprint)
		if err == nil {
			c, err = first(rows, kind, fingerprint)
		}
		return err
	})
	if err == nil {
		s.contracts.note(c)
	}
	return c, err
}
