// Package pgurl edits the addresses of databases.
package pgurl

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// WithDatabase is address with another database, for both forms that
// PostgreSQL's clients take: postgres://… and "host=… dbname=…".
func WithDatabase(address, name string) (string, error) {
	if name == "" {
		return "", errors.New("a database needs a name")
	}
	if !strings.Contains(address, "://") {
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name)
		return address + fmt.Sprintf(" dbname='%s'", quoted), nil // the last one counts
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the database's address is no URL") // err would show the password
	}
	parsed.Path, parsed.RawPath = "/"+name, ""
	return parsed.String(), nil
}
