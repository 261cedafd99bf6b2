package books

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// sumsSQL adds events to what the build has applied. Bind: $1 build, $2 categories, $3
// counts, $4 hashes, $5 lane.
const sumsSQL = `
insert into {asof}.sums as s (build, lane, category, events, hash)
select $1, $5, * from unnest($2::text[], $3::bigint[], $4::bigint[])
on conflict (build, lane, category) do update set events = s.events + excluded.events, hash = s.hash # excluded.hash`

func (k Books) queueSums(out *pgx.Batch, b Build, lane int, sums map[string]pgstore.Sum) {
	if len(sums) == 0 {
		return
	}
	var categories []string
	var counts, hashes []int64
	for category, sum := range sums {
		categories, counts, hashes = append(categories, category), append(counts, sum.Events), append(hashes, int64(sum.Hash)) //nolint:gosec // the bits count
	}
	out.Queue(k.SQL(sumsSQL), b.ID, categories, counts, hashes, lane)
}

// Bind: $1 build.
const readSumsSQL = `select category, sum(events)::bigint, bit_xor(hash) from {asof}.sums where build = $1 group by category`

// Sums returns what a build has applied, by category.
func (k Books) Sums(ctx context.Context, b Build) (map[string]pgstore.Sum, error) {
	sums, err := k.ReadSums(ctx, k.Pool(), b.ID)
	return sums, fault.Explain("read what is applied", err)
}

// ReadSums returns what a build has applied, by category.
func (k Books) ReadSums(ctx context.Context, db pg.Querier, id int64) (map[string]pgstore.Sum, error) {
	rows, err := db.Query(ctx, k.SQL(readSumsSQL), id)
	if err != nil {
		return nil, err
	}
	return CollectSums(rows)
}

// CollectSums reads rows of a category, a count and a hash.
func CollectSums(rows pgx.Rows) (map[string]pgstore.Sum, error) {
	sums := map[string]pgstore.Sum{}
	var category string
	var events, hash int64
	_, err := pgx.ForEachRow(rows, []any{&category, &events, &hash}, func() error {
		sums[category] = pgstore.Sum{Events: events, Hash: uint64(hash)} //nolint:gosec // the bits count
		return nil
	})
	return sums, err
}
