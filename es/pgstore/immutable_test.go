package pgstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/es"
)

// Events are immutable, whoever asks: here it is the superuser.
func TestEvents_are_immutable(t *testing.T) {
	t.Parallel()
	store := open(t)
	recorded, err := store.Append(t.Context(), stream("1"), es.NoStream, someEvents(2)...)
	must(t, err)
	for _, sql := range []string{
		`update asof.events set data = '{}'`,
		`update asof.events set version = 3 where version = 2`,
		`update asof.events set type = type where false`,
		`delete from asof.events where version = 2`,
		`delete from asof.events`,
		`truncate asof.events`,
		`truncate asof.events restart identity cascade`,
		`merge into asof.events e using (select 1) as one on true when matched then delete`,
		`insert into asof.events select * from asof.events on conflict (position) do update set data = ''`,
	} {
		err := exec(t.Context(), store.Pool(), sql)
		var refusal *pgconn.PgError
		if !errors.As(err, &refusal) || refusal.Code != "23001" || !strings.Contains(refusal.Message, "events are immutable") || !strings.Contains(refusal.Hint, "new event") {
			t.Errorf("%s: got %v, want a refusal that says what to do", sql, err)
		}
	}
	all, err := readAll(t.Context(), store, 0)
	must(t, err)
	if len(all) != 2 || string(all[1].Data) != string(recorded[1].Data) {
		t.Errorf("the log has %v", all)
	}
}
