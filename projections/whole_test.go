package projections_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections"
)

// What a scene leaves is whole when all that its books say is true: of the tables of each
// build, live or not, and of what would be read next.

// book is what the books say of a build.
type book struct {
	ID                         int64
	Status, Schema, Kind       string
	Position                   int64
	Parked                     int64 // as it is counted
	Lanes, Offsets, Seen, Gaps int64 // rows
	last                       map[es.StreamID]es.Version
	applied                    []es.RecordedEvent
}

func (b book) String() string { return fmt.Sprintf("%s build %d", b.Status, b.ID) }

// whole checks what stands in the database now. What says when.
func (s *scene) whole(t *testing.T, what string) {
	t.Helper()
	builds := s.books(t)
	s.wantLive(t, what, builds)
	s.wantSchemas(t, what, builds)
	for _, b := range builds {
		what := fmt.Sprintf("%s: %s", what, b)
		s.wantKind(t, what, b)
		s.wantRows(t, what, b)
		s.wantSums(t, what, b)
		s.wantRead(t, what, b)
	}
}

func (s *scene) books(t *testing.T) []book {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), `
		select id, status, schema_name as schema, kind, position,
		       (select sum(parked) from asof.lanes where build = b.id)::bigint as parked,
		       (select count(*) from asof.lanes where build = b.id and lane > 0) as lanes,
		       (select count(*) from asof.offsets where build = b.id) as offsets,
		       (select count(*) from asof.dedup where build = b.id) as seen,
		       (select count(*) from asof.gaps where build = b.id) as gaps
		from asof.builds b join asof.lanes l on l.build = b.id and l.lane = 0 where name = $1 order by id`, s.name())
	if err != nil {
		t.Fatal(err)
	}
	builds, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[book])
	if err != nil {
		t.Fatal(err)
	}
	history := s.mine(t)
	for i := range builds {
		builds[i].read(t, s, history)
	}
	return builds
}

// read finds what is applied: of each stream what is known by its version, and of the log what
// lies below the position.
func (b *book) read(t *testing.T, s *scene, history []es.RecordedEvent) {
	t.Helper()
	b.last = map[es.StreamID]es.Version{}
	rows, err := s.pool.Query(t.Context(), `select category, stream_id, version from asof.dedup where build = $1`, b.ID)
	if err != nil {
		t.Fatal(err)
	}
	var stream es.StreamID
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&stream.Category, &stream.ID, &version}, func() error {
		b.last[stream] = es.Version(version)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history {
		if int64(e.Position) <= b.Position || e.Version <= b.last[e.Stream] {
			b.applied = append(b.applied, e)
		}
	}
}

// differ compares lists, of which an empty one is like none.
func differ(want, got []string) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// wantLive checks that something is live once it was.
func (s *scene) wantLive(t *testing.T, what string, builds []book) {
	t.Helper()
	live := 0
	for _, b := range builds {
		if b.Status == "live" {
			live++
		}
	}
	if live > 1 || live == 0 && len(builds) > 1 {
		t.Fatalf("%s: %d of %d builds are live", what, live, len(builds))
	}
}

// wantSchemas checks that each build stands where the books say, and none besides.
func (s *scene) wantSchemas(t *testing.T, what string, builds []book) {
	t.Helper()
	var want []string
	for _, b := range builds {
		want = append(want, b.Schema)
		if (b.Status == "live") != (b.Schema == s.name()) {
			t.Fatalf("%s: %s stands in %s", what, b, b.Schema)
		}
	}
	rows, err := s.pool.Query(t.Context(), `select nspname::text from pg_namespace where nspname = $1 or starts_with(nspname, $1 || '_')`, s.name())
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := differ(want, got); diff != "" {
		t.Fatalf("%s: other schemas stand than the books say (-books +stand):\n%s", what, diff)
	}
}

// wantKind checks that of what is applied there is known what its kind of source takes: of the
// log the position alone, else the last version of each stream.
func (s *scene) wantKind(t *testing.T, what string, b book) {
	t.Helper()
	if b.Kind == "log" {
		if b.Seen+b.Lanes > 0 {
			t.Fatalf("%s is fed by the log, and has %d dedup rows and %d lanes", what, b.Seen, b.Lanes)
		}
		return
	}
	for _, e := range b.applied {
		if e.Version > b.last[e.Stream] {
			t.Fatalf("%s lies behind version %d of %s, and knows of version %d", what, e.Version, e.Stream, b.last[e.Stream])
		}
	}
}

// wantRows compares the rows with the fold of what is applied, but for what is parked.
func (s *scene) wantRows(t *testing.T, what string, b book) {
	t.Helper()
	units, err := projections.ListParked(t.Context(), s.target, s.name())
	if err != nil {
		t.Fatal(err)
	}
	parked := map[unit]bool{}
	for _, u := range units {
		if u.Build == b.ID {
			parked[unit{u.Event.ID, u.Key}] = true
		}
	}
	if int64(len(parked)) != b.Parked {
		t.Fatalf("%s: %d units are counted and %d are parked", what, b.Parked, len(parked))
	}
	for u := range parked {
		if !slices.ContainsFunc(b.applied, func(e es.RecordedEvent) bool { return e.ID == u.event }) {
			t.Fatalf("%s: event %s is parked and comes yet", what, u.event)
		}
	}
	skipped := s.isSkipped(t)
	want := foldLedger(s.order, b.applied, func(e es.RecordedEvent, key string) bool {
		return parked[unit{e.ID, key}] || skipped[unit{e.ID, key}]
	})
	if diff := differ(want, ledgerIn(t, s.pool, b.Schema)); diff != "" {
		t.Fatalf("%s: its rows are not those of the %d events that are applied (-want +got):\n%s", what, len(b.applied), diff)
	}
}

// isSkipped is what the books say is left out.
func (s *scene) isSkipped(t *testing.T) map[unit]bool {
	t.Helper()
	list, err := projections.ListSkipped(t.Context(), s.target, s.name())
	if err != nil {
		t.Fatal(err)
	}
	skipped := map[unit]bool{}
	for _, u := range list {
		skipped[unit{u.Event, u.Key}] = true
	}
	return skipped
}

// wantSums compares what the books have summed up with what they say is applied.
func (s *scene) wantSums(t *testing.T, what string, b book) {
	t.Helper()
	ids := make([]string, len(b.applied))
	for i, e := range b.applied {
		ids[i] = e.ID.String()
	}
	wrong := s.number(`
		select count(*)
		from (select count(*) n, coalesce(bit_xor(uuid_hash_extended(id, 0)), 0) h from unnest($1::text[]::uuid[]) id) e
		cross join (select coalesce(sum(events), 0) n, coalesce(bit_xor(hash), 0) h from asof.sums where build = $2 and category = $3) s
		where (e.n, e.h) is distinct from (s.n, s.h)`, ids, b.ID, s.category)
	if wrong != 0 {
		t.Fatalf("%s: the sums are not those of the %d events that are applied", what, len(b.applied))
	}
}

// wantRead checks that nothing below the offsets is forgotten: it is applied, or its stream has
// a gap from which it is read again.
func (s *scene) wantRead(t *testing.T, what string, b book) {
	t.Helper()
	if b.Offsets == 0 {
		return
	}
	known := map[es.StreamID]es.Version{}
	for _, e := range b.applied {
		known[e.Stream] = max(known[e.Stream], e.Version)
	}
	for number := range partitions {
		next := s.number(`select coalesce(max(next_offset), 0) from asof.offsets where build = $1 and partition = $2`, b.ID, number)
		err := s.client.Range(t.Context(), s.category, number, 0, next, func(messages []kafka.Message) error {
			for _, m := range messages {
				e, err := kafka.ToEvent(m)
				if err != nil || e.Version <= known[e.Stream] {
					continue
				}
				again := s.number(`select count(*) from asof.gaps where build = $1 and stream_id = $2 and topic = $3 and partition = $4 and next_offset <= $5 and not lost`,
					b.ID, e.Stream.ID, s.category, number, m.Offset)
				if again != 1 {
					return fmt.Errorf("version %d of %s stands at offset %d, below %d, is not applied and would not be read again", e.Version, e.Stream, m.Offset, next)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// wantClean compares what was come to with the clean fold of all that happened.
func (s *scene) wantClean(t *testing.T, what string) {
	t.Helper()
	skipped := s.toSkip()
	want := foldLedger(s.order, s.mine(t), func(e es.RecordedEvent, _ string) bool { return slices.Contains(skipped, e.ID) })
	if diff := differ(want, ledgerIn(t, s.pool, s.name())); diff != "" {
		t.Fatalf("%s: the rows are not the clean fold (-want +got):\n%s", what, diff)
	}
	status, err := s.looking().Status(t.Context())
	if err != nil || status.Parked != 0 || status.Building != nil || status.Lag != 0 || status.Gaps != nil {
		t.Fatalf("%s: %+v, %v", what, status, err)
	}
}
