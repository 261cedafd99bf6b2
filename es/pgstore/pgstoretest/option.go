package pgstoretest

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/migrations"
)

// Option changes what New and Open make.
type Option func(*setup)

type setup struct {
	change []func(*pgxpool.Config)
	schema string
	sets   []migrations.Set
}

// usualSchema is where the framework's tables are, unless Schema says otherwise.
const usualSchema = "asof"

func newSetup(options []Option) *setup {
	s := &setup{schema: usualSchema}
	MaxConns(12)(s)
	for _, option := range options {
		option(s)
	}
	return s
}

// MaxConns bounds the store's connections; 12 by default. The server takes 200 of all
// tests that run at the same time.
func MaxConns(n int32) Option { return Configure(func(c *pgxpool.Config) { c.MaxConns = n }) }

// Configure changes the pool's configuration in any other way, such as a tracer.
func Configure(change func(*pgxpool.Config)) Option {
	return func(s *setup) { s.change = append(s.change, change) }
}

// Schema names the schema of the store's tables; "asof" is the default.
func Schema(name string) Option { return func(s *setup) { s.schema = name } }

// Migrations makes tables of the caller's after the framework's.
func Migrations(sets ...migrations.Set) Option {
	return func(s *setup) { s.sets = append(s.sets, sets...) }
}
