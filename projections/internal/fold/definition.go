package fold

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// Definition is what the other rooms know of a Fold or of statements.
type Definition struct {
	Name       string
	Version    int
	DDL        string
	Categories []string // empty: all
	Order      Order
	// Concurrency is for how many rows Apply is called at once where it is slow; 0: for some
	// for each processor. Always means also where it is quick.
	Concurrency int
	Always      bool
	// Contracts are those of the log, for codecs; nil when there is none.
	Contracts es.Contracts
	// Bind looks at the tables that ddl made, on whose schema the search path is.
	Bind func(ctx context.Context, tx pgx.Tx, schema string) (Model, error)
}

const (
	namePattern   = `^[a-z][a-z0-9_]{0,39}$`
	shadowPattern = `_v[0-9]+(_b[0-9]+)?$`
)

// Validate refuses names and numbers that do not fit.
func (d *Definition) Validate() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %q: "+format, append([]any{fault.ErrInvalid, d.Name}, args...)...)
	}
	switch {
	case !regexp.MustCompile(namePattern).MatchString(d.Name):
		return refuse("Name becomes a schema: use 1 to 40 of a-z 0-9 _, beginning with a letter")
	case strings.HasPrefix(d.Name, "pg_") || d.Name == "public" || d.Name == "information_schema":
		return refuse("Name is a schema of Postgres: choose another")
	case regexp.MustCompile(shadowPattern).MatchString(d.Name):
		return refuse("Name ends like the schema of an older version: choose another")
	case d.Version < 1:
		return refuse("Version is %d: count from 1", d.Version)
	case d.Order < LogOrder || d.Order > Commuting:
		return refuse("Order is %s: use LogOrder, OneStream or Commuting", d.Order)
	case strings.TrimSpace(d.DDL) == "":
		return refuse("the table's DDL is missing")
	}
	for _, category := range d.Categories {
		if err := (es.StreamID{Category: category, ID: "x"}).Validate(); err != nil {
			return refuse("Categories: %w", err)
		}
	}
	return nil
}

// Fingerprint tells whether the DDL is the one that made a build's tables, and the
// categories are those that filled them: of one that came later, what was recorded
// before would be missing.
func (d *Definition) Fingerprint() string {
	parts := append([]string{strings.Join(strings.Fields(d.DDL), " ")}, slices.Sorted(slices.Values(d.Categories))...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}
