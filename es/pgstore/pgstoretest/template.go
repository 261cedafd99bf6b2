package pgstoretest

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

// framework is a database with the framework's tables, from which those of the tests are
// copied: to migrate each would take longer than many a test.
//
//nolint:gochecknoglobals // the tests of a process share it
var framework = embeddedtest.NewTemplate(func(ctx context.Context, url string) error {
	pool, err := newPool(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	return migrations.Up(ctx, pool, migrations.Framework(usualSchema))
})

// renewSQL makes a copy a store of its own, in its own place, as the migrations make a new one.
const renewSQL = `
update ` + usualSchema + `.store_identity set id = gen_random_uuid(), life = gen_random_uuid(), created_at = clock_timestamp(),
       (system_id, timeline, database_oid, events_oid) = (select system_id, timeline, database_oid, events_oid from ` + usualSchema + `.store_place())`

func renew(ctx context.Context, url string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, renewSQL)
	return err
}
