package projections

import (
	"github.com/asof-dev/asof/projections/internal/fault"

	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// definition is what the rest of the package knows of a Fold or a SQL.
type definition struct {
	name       string
	version    int
	ddl        string
	categories []string // empty: all
	order      Order
	instance   string // of this process: see identity
	// bind looks at the tables that ddl made, on whose schema the search path is.
	bind func(ctx context.Context, tx pgx.Tx, schema string) (model, error)
}

const (
	namePattern   = `^[a-z][a-z0-9_]{0,39}$`
	shadowPattern = `_v[0-9]+(_b[0-9]+)?$`
)

func (d *definition) validate() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %q: "+format, append([]any{fault.ErrInvalid, d.name}, args...)...)
	}
	switch {
	case !regexp.MustCompile(namePattern).MatchString(d.name):
		return refuse("Name becomes a schema: use 1 to 40 of a-z 0-9 _, beginning with a letter")
	case strings.HasPrefix(d.name, "pg_") || d.name == "public" || d.name == "information_schema":
		return refuse("Name is a schema of Postgres: choose another")
	case regexp.MustCompile(shadowPattern).MatchString(d.name):
		return refuse("Name ends like the schema of an older version: choose another")
	case d.version < 1:
		return refuse("Version is %d: count from 1", d.version)
	case d.order < LogOrder || d.order > Commuting:
		return refuse("Order is %s: use LogOrder, OneStream or Commuting", d.order)
	case strings.TrimSpace(d.ddl) == "":
		return refuse("the table's DDL is missing")
	}
	for _, category := range d.categories {
		if err := (es.StreamID{Category: category, ID: "x"}).Validate(); err != nil {
			return refuse("Categories: %w", err)
		}
	}
	return nil
}

// fingerprint tells whether the DDL is the one that made a build's tables, and the
// categories are those that filled them: of one that came later, what was recorded
// before would be missing.
func (d *definition) fingerprint() string {
	parts := append([]string{strings.Join(strings.Fields(d.ddl), " ")}, slices.Sorted(slices.Values(d.categories))...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}
