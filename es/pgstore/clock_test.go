package pgstore_test

import (
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
)

// recorded_at follows the stream when the server's clock was set back.
func TestRecordedAt_never_decreases(t *testing.T) {
	t.Parallel()
	store := open(t)
	for id, want := range map[string]es.Expected{"exactly": es.Exactly(1), "any": es.Any, "exists": es.StreamExists} {
		for _, n := range []int{1, 3} {
			s := es.StreamID{Category: "ahead", ID: id + string(rune('0'+n))}
			ahead := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
			_, err := store.Pool().Exec(t.Context(), `
insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, data, metadata, recorded_at)
values (nextval('asof.events_position'), $1, $2, 1, gen_random_uuid(), 'test.happened', 1, '{}', '', $3)`, s.Category, s.ID, ahead)
			must(t, err)
			recorded, err := store.Append(t.Context(), s, want, someEvents(n)...)
			must(t, err)
			for _, e := range recorded {
				if e.RecordedAt.Before(ahead) {
					t.Errorf("%s: version %d was recorded at %s, before version 1 at %s", s, e.Version, e.RecordedAt, ahead)
				}
			}
		}
	}
}
