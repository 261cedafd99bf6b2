package pgstore_test

import (
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
)

// How much a reader has before it: of what it reads, no more than it asks for, and the age
// of the first.
func TestBeyond_measures_what_is_before_a_reader(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	for _, category := range []string{"a", "b", "a", "c"} {
		_, err := store.Append(ctx, inCategory(category), es.Any, someEvents(1)...)
		must(t, err)
	}
	must(t, exec(ctx, store.Pool(), `set session_replication_role = replica;
		update asof.events set recorded_at = clock_timestamp() - (10 - position) * interval '1 hour';
		set session_replication_role = origin`))
	for _, c := range []struct {
		after      es.Position
		limit      int64
		categories []string
		events     int64
		hours      int
	}{
		{0, 100, nil, 4, 9},
		{1, 100, nil, 3, 8},
		{1, 2, nil, 2, 8},
		{0, 100, []string{"b", "c"}, 2, 8},
		{2, 100, []string{"a"}, 1, 7},
		{2, 100, []string{"b"}, 0, 0},
		{4, 100, nil, 0, 0},
	} {
		e, err := store.Beyond(ctx, c.after, c.limit, c.categories...)
		must(t, err)
		if e.Events != c.events || e.Age.Truncate(time.Hour) != time.Duration(c.hours)*time.Hour {
			t.Errorf("after %d, at most %d of %v: %+v, want %d events, the first of %d hours", c.after, c.limit, c.categories, e, c.events, c.hours)
		}
	}
}
