package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// ErrMappings: the relay has published by a mapping that this program does not have. If it
// published, the mapping's topic would lack what it does. Deploy the program that has it, or say
// that it has ended, by [WithEnded].
var ErrMappings = errors.New("outbox: a mapping is missing")

const (
	// mappingsSQL lists the mappings that have begun. Bind: nothing.
	mappingsSQL = `select mapping from {asof}.relay_mappings order by mapping`

	// beginMappingSQL notes that a mapping begins, by who has the lease. Bind: $1 to $3 as held;
	// $4 mapping, $5 category, $6 position.
	beginMappingSQL = `
insert into {asof}.relay_mappings (mapping, category, position) select $4, $5, $6 from {asof}.relay where ` + held + `
on conflict do nothing`

	// endMappingSQL forgets a mapping, with what it holds. Bind: $1 to $3 as held; $4 mapping.
	endMappingSQL = `
with ended as (
    delete from {asof}.relay_mappings where mapping = $4 and exists (select from {asof}.relay where ` + held + `) returning mapping
)
delete from {asof}.held where mapping in (select mapping from ended)`
)

// beginMappings holds the mappings of the program against those that have begun.
func (t *term) beginMappings(ctx context.Context) error {
	pool := t.relay.store.Pool()
	rows, err := pool.Query(ctx, t.relay.sql(mappingsSQL))
	if err != nil {
		return explain("list the mappings", err)
	}
	begun, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return explain("list the mappings", err)
	}
	mine := t.relay.mappingNames()
	var missing []string
	for _, name := range begun {
		_, has := mine[name]
		switch {
		case has:
			delete(mine, name)
		case slices.Contains(t.relay.ended, name):
			if _, err := pool.Exec(ctx, t.relay.sql(endMappingSQL), t.lease.epoch, t.lease.leader, t.lease.life, name); err != nil {
				return explain("end mapping "+name, err)
			}
		default:
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %v: deploy the program that has it, or say WithEnded", ErrMappings, missing)
	}
	for _, name := range slices.Sorted(maps.Keys(mine)) {
		if _, err := pool.Exec(ctx, t.relay.sql(beginMappingSQL), t.lease.epoch, t.lease.leader, t.lease.life, name, mine[name], int64(t.start.Position)); err != nil {
			return explain("begin mapping "+name, err)
		}
	}
	return nil
}

// mappingNames are the categories of the mappings, by name.
func (r *Relay) mappingNames() map[string]string {
	names := map[string]string{}
	for category, list := range r.mappings {
		for _, m := range list {
			names[m.Name()] = category
		}
	}
	return names
}
