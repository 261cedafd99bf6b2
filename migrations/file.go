package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/pressly/goose/v3"
)

// file is one migration as goose reads it.
type file struct {
	version  int64
	name     string
	checksum string // of what it does on the way up
	outside  bool   // of a transaction: -- +goose NO TRANSACTION
	up, down []string
}

// statements are those of a direction.
func (f file) statements(up bool) []string {
	if up {
		return f.up
	}
	return f.down
}

// readFiles reads all files at once, so that a mistake in the last is found before the
// first is applied. Goose reads them, and runs them on a database that only writes
// down what it is told; running them in earnest needs a say in how each transaction
// begins, which goose does not give.
func readFiles(source fs.FS) ([]file, error) {
	told := &recorder{}
	db := sql.OpenDB(told)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, source, goose.WithDisableGlobalRegistry(true), goose.WithDisableVersioning(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil, errors.New("no file of the form 0001_name.sql")
	}
	if err != nil {
		return nil, err
	}
	var list []file
	for _, found := range provider.ListSources() {
		f := file{version: found.Version, name: path.Base(found.Path)}
		content, err := fs.ReadFile(source, found.Path)
		if err != nil {
			return nil, err
		}
		f.checksum = checksum(string(content))
		for _, up := range []bool{true, false} {
			*told = recorder{}
			if _, err := provider.ApplyVersion(context.Background(), f.version, up); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			f.outside = !told.transaction
			if up {
				f.up = told.statements
			} else {
				f.down = told.statements
			}
		}
		list = append(list, f)
	}
	return list, nil
}

// checksum tells files apart by what they do on the way up. Comments of whole lines,
// blank lines and ends of lines may differ: such a change needs no second look. The
// text is taken and not the statements, whose ENVSUB variables are each machine's own.
func checksum(content string) string {
	sum := sha256.New()
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		word, note := strings.CutPrefix(line, "--")
		if note {
			_, word, note = strings.Cut(word, "+goose")
			if word = strings.TrimSpace(word); note && strings.EqualFold(word, "down") {
				break
			}
		}
		if line == "" || strings.HasPrefix(line, "--") && !note {
			continue
		}
		fmt.Fprintln(sum, line)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// recorder is a database that writes down what it is told.
type recorder struct {
	statements  []string
	transaction bool
}

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return r, nil }
func (r *recorder) Driver() driver.Driver                        { return nil }
func (r *recorder) Prepare(string) (driver.Stmt, error)          { return nil, errors.ErrUnsupported }
func (r *recorder) Close() error                                 { return nil }
func (r *recorder) Commit() error                                { return nil }
func (r *recorder) Rollback() error                              { return nil }

func (r *recorder) Begin() (driver.Tx, error) {
	r.transaction = true
	return r, nil
}

func (r *recorder) ExecContext(_ context.Context, statement string, _ []driver.NamedValue) (driver.Result, error) {
	r.statements = append(r.statements, statement)
	return driver.ResultNoRows, nil
}
