package pgstoretest_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// ownSQL lists what a store has of its own in its tables and sequences: identities and places
// that no other has. The rest of the rows and the sequences are in contentSQL.
const (
	ownSQL = `
select unnest(array[id::text, life::text, database_oid::text]) from asof.store_identity`

	contentSQL = `
select c.relname || ' ' || regexp_replace(query_to_xml(format('select * from asof.%I order by 1', c.relname), true, false, '')::text,
       '[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+|<(database_oid|events_oid|log_cnt)>[0-9]+', '…', 'g')
from pg_class c where c.relnamespace = 'asof'::regnamespace and c.relkind in ('r', 'S') order by 1`
)

func texts(t *testing.T, store *pgstore.Store, sql string) []string {
	t.Helper()
	rows, err := store.Pool().Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A copy of a migrated database is as one that was migrated itself, and yet another store.
func TestNew_is_as_a_store_that_was_migrated(t *testing.T) {
	t.Parallel()
	migrated, one, other := pgstoretest.Open(t, embeddedtest.Database(t)), pgstoretest.New(t), pgstoretest.New(t)
	want := texts(t, migrated, contentSQL)
	for _, store := range []*pgstore.Store{one, other} {
		if diff := cmp.Diff(want, texts(t, store, contentSQL)); diff != "" || len(want) < 10 {
			t.Errorf("(-migrated +copied):\n%s", diff)
		}
		if n := texts(t, store, `select ((s.system_id, s.timeline, s.database_oid, s.events_oid) is not distinct from (p.system_id, p.timeline, p.database_oid, p.events_oid))::text
			from asof.store_identity s, asof.store_place() p`); n[0] != "true" {
			t.Error("it is in another place than its own")
		}
		record(t, store)
	}
	for _, own := range texts(t, one, ownSQL) {
		if slices.Contains(texts(t, other, ownSQL), own) {
			t.Errorf("two stores have %s", own)
		}
	}
}
