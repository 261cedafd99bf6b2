package embeddedtest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/pg"
)

// Template is a database that others are copies of, so that what they have in common is
// made once in a test process. A copy takes about as long as an empty database.
type Template struct {
	make func() (name string, err error)
}

// NewTemplate returns one that is made when it is first asked for a copy: by make, which
// is given the address of a fresh database, and leaves no session open.
func NewTemplate(make func(ctx context.Context, url string) error) *Template {
	return &Template{make: sync.OnceValues(func() (string, error) {
		server, err := sharedServer()
		if err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(context.Background(), startWait)
		defer cancel()
		name := databaseName("template")
		if err := execute(ctx, server.PoolConfig(pgserver.User), `CREATE DATABASE `+pg.Quote(name)); err != nil {
			return "", err
		}
		if err := make(ctx, server.URL(name)); err != nil {
			return "", fmt.Errorf("make the template: %w", err)
		}
		return name, nil
	})}
}

// Database returns the address, as superuser, of a fresh copy, which is dropped at the end
// of the test.
func (p *Template) Database(t testing.TB) string {
	t.Helper()
	name, err := p.make()
	if err != nil {
		t.Fatalf("embeddedtest: no database: %v", err)
	}
	server, err := sharedServer()
	if err != nil {
		t.Fatalf("embeddedtest: no database: %v", err)
	}
	return server.URL(freshDatabase(t, server.Server, name))
}
