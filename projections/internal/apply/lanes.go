package apply

import (
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Where each row is of one stream, partitions of Kafka have no row in common: so each is a
// lane, and processes apply theirs side by side. A batch locks the rows of its lanes. Who needs
// the whole build, as a switch, a retry or a batch of the log, locks the build's row, which
// lanes do not, and then the rows of all its lanes: locks on rows are given in the order in
// which they were asked for, so that it gets its turn.
//
// Should a stream come by two partitions, as after their number has changed, both lanes see
// the same version before, and the later one is refused by the dedup row.

// lanes are those of a live build that work touches; nil when it takes the whole build.
func (a *Applier) lanes(b books.Build, w *Work) []int {
	if a.Def.Order != fold.OneStream || b.Kind == books.KindLog || b.Status != books.Live || w.Offset == nil || w.Position > 0 || w.Over != nil {
		return nil
	}
	list := []int{laneOf(w.Offset.Partition)}
	for _, o := range w.Others {
		list = append(list, laneOf(o.Partition))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func laneOf(partition int) int { return partition + 1 }

// lockLanesSQL takes the turn of all lanes of a build. Bind: $1 build.
const lockLanesSQL = `select from {asof}.lanes where build = $1 order by lane for update`

// takeLanesSQL takes the turn of some lanes. Bind: $1 build, $2 lanes.
const takeLanesSQL = `select from {asof}.lanes where build = $1 and lane = any($2) order by lane for update`

// queueLanes takes the turn of lanes.
func (a *Applier) queueLanes(batch *pgx.Batch, b books.Build, lanes []int) {
	batch.Queue(a.Books.SQL(takeLanesSQL), b.ID, lanes).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(len(lanes)) {
			return fmt.Errorf("%w: %s version %d, build %d has not all of the lanes %d", fault.ErrFenced, b.Name, b.Version, b.ID, lanes)
		}
		return nil
	})
	a.queueLook(batch, b, false, func(books.Build) error { return nil })
	a.queuePath(batch, b)
}

// Bind: $1 build, $2 lane.
const makeLaneSQL = `insert into {asof}.lanes (build, lane) values ($1, $2) on conflict do nothing`

// addSeenSQL writes dedup rows of streams that have none yet. Bind: $1 build, $2 categories, $3
// ids, $4 versions, $5 source.
const addSeenSQL = `
insert into {asof}.dedup (build, category, stream_id, version, source)
select $1, *, $5 from unnest($2::text[], $3::text[], $4::bigint[])
on conflict do nothing`

// moveSeenSQL changes dedup rows that are still what they were; they are found by their
// primary key, as in seenSQL. Bind: $1 build, $2 categories, $3 ids, $4 versions, $5 source, $6
// versions as found.
const moveSeenSQL = `
update {asof}.dedup d set version = u.version
from (select u.version, u.before, s.at
      from unnest($2::text[], $3::text[], $4::bigint[], $6::bigint[]) u (category, id, version, before)
      cross join lateral (
          select ctid as at from {asof}.dedup s
          where s.build = $1 and s.category = u.category and s.stream_id = u.id and s.source = $5 offset 0) s) u
where d.ctid = u.at and d.version = u.before`

// queueSeenOfLanes writes dedup rows beside other lanes: of what one of these has applied
// meanwhile nothing is written.
func (a *Applier) queueSeenOfLanes(out *pgx.Batch, b books.Build, w *Work, changed, added seenRows) {
	expect := func(rows int) func(pgconn.CommandTag) error {
		return func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() != int64(rows) {
				return fmt.Errorf("%w: %s: another lane has applied events of %d streams", fault.ErrMoved, b.Name, int64(rows)-tag.RowsAffected())
			}
			return nil
		}
	}
	if n := len(changed.ids); n > 0 {
		out.Queue(a.Books.SQL(moveSeenSQL), b.ID, changed.categories, changed.ids, changed.versions, w.Source, changed.before).Exec(expect(n))
	}
	if n := len(added.ids); n > 0 {
		out.Queue(a.Books.SQL(addSeenSQL), b.ID, added.categories, added.ids, added.versions, w.Source).Exec(expect(n))
	}
}
