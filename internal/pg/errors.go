package pg

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	UniqueViolation       = "23505"
	ReadOnlyTransaction   = "25006"
	InFailedTransaction   = "25P02"
	NoSuchPrepared        = "26000"
	ProtocolViolation     = "08P01"
	InvalidSchema         = "3F000"
	NoSuchDatabase        = "3D000"
	SerializationFailure  = "40001"
	DeadlockDetected      = "40P01"
	InsufficientPrivilege = "42501"
	DuplicatePrepared     = "42P05"
	UndefinedTable        = "42P01"
	UndefinedColumn       = "42703"
	UndefinedFunction     = "42883"
	FeatureNotSupported   = "0A000"
	NotInThisState        = "55000"
	LockNotAvailable      = "55P03"
	TooManyConnections    = "53300"
	QueryCanceled         = "57014"
	InvalidPassword       = "28P01"
	InvalidAuthorization  = "28000"
)

// Code returns the server's code of an error; "" when the server did not give one.
func Code(err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Code
	}
	return ""
}

// Is reports whether the server's code of an error is one of those.
func Is(err error, codes ...string) bool { return slices.Contains(codes, Code(err)) }

// NotMigrated reports that a table, schema or column is not there: the migrations
// did not run, or are older than the program.
func NotMigrated(err error) bool {
	return Is(err, UndefinedTable, InvalidSchema, UndefinedColumn)
}

// MayNotWrite reports that the role, or the session, may only read.
func MayNotWrite(err error) bool { return Is(err, InsufficientPrivilege, ReadOnlyTransaction) }

// LostRace reports that the database ended a transaction which may succeed when it
// runs again.
func LostRace(err error) bool { return Is(err, SerializationFailure, DeadlockDetected) }

// Unreachable reports that no answer came, or that the server does not take
// connections now.
func Unreachable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	code := Code(err)
	return errors.Is(err, io.ErrUnexpectedEOF) || code == TooManyConnections || strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P0")
}

// Passing reports what has nothing to do with the statement that met it: a connection
// or a server that went away, a race, a timeout, no room. The statement may succeed
// when it is sent again.
func Passing(err error) bool {
	code := Code(err)
	if code == "" {
		return true // it did not come from the server
	}
	for _, class := range []string{"08", "25P", "40", "53", "55P", "57", "58", "XX"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// Outage reports, of an error that may be anybody's, as it came from a program that used
// the database, what the database has to answer for and not what was asked of it: no
// answer came, it lets nobody in or write, or the server says what passes. Other errors
// that no server gave are not, nor is the one of a transaction that goes on after an error
// of its own, or of a statement that breaks the protocol.
func Outage(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	switch code := Code(err); code {
	case "":
		return err != nil && (Unreachable(err) || pgconn.Timeout(err) || pgconn.SafeToRetry(err))
	case InFailedTransaction, ProtocolViolation:
		return false
	case InvalidPassword, InvalidAuthorization, NoSuchDatabase, ReadOnlyTransaction:
		return true
	default:
		return Passing(err)
	}
}

// OnlyByOperator reports what no patience cures, as somebody has to run the
// migrations, to grant a right or to change a setting: loops end with it.
func OnlyByOperator(err error) bool {
	return NotMigrated(err) || Is(err, InsufficientPrivilege, NoSuchPrepared, DuplicatePrepared, ProtocolViolation)
}

// Explain says what failed, and what to do where that is known; nil stays nil. The
// text begins with the package's name. The server's error stays reachable by
// errors.As.
func Explain(in, what string, err error) error {
	if err == nil {
		return nil
	}
	if hint := hint(err); hint != "" {
		return fmt.Errorf("%s: %s: %s: %w", in, what, hint, err)
	}
	return fmt.Errorf("%s: %s: %w", in, what, err)
}

func hint(err error) string {
	switch Code(err) {
	case UndefinedTable, InvalidSchema:
		return "tables are missing: run the migrations (migrations.Up, or `" + Program() + " migrate`)"
	case UndefinedColumn:
		return "the tables are older than this program: run the migrations (migrations.Up, or `" + Program() + " migrate`)"
	case InsufficientPrivilege:
		return "the database role lacks a right: grant it, as docs/operating.md lists them"
	case NoSuchPrepared, DuplicatePrepared, ProtocolViolation:
		return "a pooler hands each transaction another session, where prepared statements are not known: give PgBouncer 1.21 or later max_prepared_statements, or add default_query_exec_mode=exec to the database's URL"
	case TooManyConnections:
		return "the server takes no more connections: raise its max_connections, or lower pool_max_conns in the URLs"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return "the database cannot be reached: check that it runs and that its URL is right"
	}
	return ""
}

// Program names the binary that runs, for a text that says which command to give:
// the user's own has the commands of package command mounted. Where it has no lasting
// name, as under go test or go run, it is asof.
func Program() string {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	if name == "main" || name == "." || strings.HasSuffix(name, ".test") || strings.HasPrefix(name, "__debug_bin") {
		return "asof"
	}
	return name
}
