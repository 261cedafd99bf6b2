package pgstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

func byContract(c es.Contract) es.EventData {
	return es.EventData{ID: es.NewID(), Type: "test.written", ContentType: "application/avro", Data: []byte{1}, Contract: &c}
}

// A contract stays though the transaction of its first event is rolled back: another program may
// have found it meanwhile. It takes no connection of a pool that has none left.
func TestContract_is_kept_whatever_becomes_of_the_append(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.MaxConns = 1 }))
	c := es.Contract{Kind: "AVRO", Fingerprint: "f1", Text: `"int"`}
	err := pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
		in := store.InTx(tx)
		if _, err := in.Append(ctx, inCategory("a"), es.Any, byContract(c)); err != nil {
			return err
		}
		if got, err := in.Contract(ctx, c.Kind, c.Fingerprint); err != nil || got != c {
			t.Errorf("in the transaction: %+v, %v", got, err)
		}
		return errors.New("rolled back")
	})
	if err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Fatal(err)
	}
	if events, err := readAll(ctx, store, 0); err != nil || len(events) != 0 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	other := pgstore.New(store.Pool(), pgstore.WithSchema(store.Schema()))
	if got, err := other.Contract(ctx, c.Kind, c.Fingerprint); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := other.Append(ctx, inCategory("a"), es.Any, byContract(c)); err != nil {
		t.Error(err)
	}
}

// What is not there is looked for again, as another program may bring it; and of many that are
// not there, only so many are remembered.
func TestContract_of_another_program_is_found(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	store := open(t)
	reader := pgstore.New(store.Pool(), pgstore.WithSchema(store.Schema()))
	c := es.Contract{Kind: "AVRO", Fingerprint: "f1", Text: `"int"`}
	if _, err := reader.Contract(ctx, c.Kind, c.Fingerprint); !errors.Is(err, es.ErrUnknownContract) {
		t.Fatal(err)
	}
	if _, err := store.Append(ctx, inCategory("a"), es.Any, byContract(c)); err != nil {
		t.Fatal(err)
	}
	for {
		got, err := reader.Contract(ctx, c.Kind, c.Fingerprint)
		if err == nil && got == c {
			break
		}
		if !errors.Is(err, es.ErrUnknownContract) {
			t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// A database that does not answer is not a contract that is not there.
func TestContract_that_cannot_be_looked_up_is_unavailable(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	c := open(t).Pool().Config()
	c.ConnConfig.Port = 1
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pgstore.New(pool).Contract(ctx, "AVRO", "f1"); !errors.Is(err, es.ErrUnavailable) || errors.Is(err, es.ErrUnknownContract) {
		t.Error(err)
	}
}

// A contract is for ever, as are the events that are written by it.
func TestContracts_are_immutable(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	store := open(t)
	if _, err := store.Append(ctx, inCategory("a"), es.Any, byContract(es.Contract{Kind: "JSON", Fingerprint: "f1", Text: `{}`})); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`delete from asof.contracts`, `update asof.contracts set text = 'x'`, `truncate asof.contracts`} {
		if err := exec(ctx, store.Pool(), sql); err == nil || !strings.Contains(err.Error(), "immutable") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
