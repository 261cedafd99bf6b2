package embeddedtest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
)

func TestTemplate_is_made_once_and_copied(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	template := embeddedtest.NewTemplate(func(ctx context.Context, url string) (err error) {
		made.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, conn.Close(ctx)) }()
		_, err = conn.Exec(ctx, makeNotes)
		return err
	})
	for range 3 {
		t.Run("copy", func(t *testing.T) {
			t.Parallel()
			url := template.Database(t)
			wants(t, url, noted)
			run(t, url, note1)
			wants(t, url, noted, "1")
		})
	}
	t.Cleanup(func() {
		if n := made.Load(); n != 1 {
			t.Errorf("it was made %d times", n)
		}
	})
}
