package pg

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// schemaName is what package migrations makes and everybody may name: it needs no
// quotes in anybody's SQL.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// ValidSchema reports whether a name can be a schema of the framework's or of a
// service's tables; the error says what is allowed.
func ValidSchema(name string) error {
	if !schemaName.MatchString(name) {
		return fmt.Errorf("schema %q: use 1 to 63 of a-z 0-9 _, not beginning with a digit", name)
	}
	return nil
}

// Quote writes an identifier, or several parted by dots, as SQL.
func Quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// NoStatementTimeoutSQL lifts the role's statement_timeout for the rest of a transaction or
// of a batch, for statements whose cost grows with what is stored.
const NoStatementTimeoutSQL = `select set_config('statement_timeout', '0', true)`

// Literal writes a text as SQL.
func Literal(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// Expand puts the name of the framework's schema in the place of {asof} in SQL, and
// the values of further pairs of word and value: "{word}", "value".
func Expand(schema, sql string, pairs ...string) string {
	return strings.TrimSpace(strings.NewReplacer(append(pairs, "{asof}", Quote(schema))...).Replace(sql))
}
