package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/internal/pg"
)

func TestNames_that_could_leave_their_quotes(t *testing.T) {
	t.Parallel()
	for name, valid := range map[string]bool{
		"asof": true, "_a9": true, strings.Repeat("a", 63): true,
		"": false, "Asof": false, "1a": false, "a-b": false, `a"b`: false, `a'b`: false, "a b": false, "ä": false, "a\n": false, strings.Repeat("a", 64): false,
	} {
		if err := pg.ValidSchema(name); (err == nil) != valid {
			t.Errorf("schema %q: %v, want valid: %t", name, err, valid)
		}
	}
	if got := pg.Quote(`a"b`, "c"); got != `"a""b"."c"` {
		t.Errorf("quoted as %s", got)
	}
	if got := pg.Literal(`a'b`); got != `'a''b'` {
		t.Errorf("written as %s", got)
	}
	if got := pg.Expand(`a"b`, "\nselect {asof}.x, {key} ", "{key}", "7"); got != `select "a""b".x, 7` {
		t.Errorf("expanded to %s", got)
	}
}

func TestExplain_says_what_to_do(t *testing.T) {
	t.Parallel()
	for code, text := range map[string]string{
		pg.UndefinedTable: "asof migrate", pg.InvalidSchema: "asof migrate", pg.UndefinedColumn: "asof migrate",
		pg.InsufficientPrivilege: "grant", pg.NoSuchPrepared: "default_query_exec_mode=exec", pg.DuplicatePrepared: "max_prepared_statements", pg.ProtocolViolation: "default_query_exec_mode=exec",
		pg.TooManyConnections: "max_connections",
	} {
		server := &pgconn.PgError{Code: code, Message: "no"}
		err := pg.Explain("room", "do it", fmt.Errorf("wrapped: %w", server))
		if !strings.HasPrefix(err.Error(), "room: do it: ") || !strings.Contains(err.Error(), text) || !errors.As(err, &server) {
			t.Errorf("%s: %v, want %q in it", code, err, text)
		}
		if operator := code != pg.TooManyConnections; pg.OnlyByOperator(err) != operator {
			t.Errorf("%s: only by an operator: %t", code, !operator)
		}
	}
	if pg.Explain("room", "do it", nil) != nil {
		t.Error("nil was explained")
	}
	if pg.OnlyByOperator(errors.New("x")) || pg.Unreachable(errors.New("x")) || pg.Code(errors.New("x")) != "" {
		t.Error("any error was taken for the server's")
	}
}

// An error of the server that has nothing to do with the statement is no mistake in it.
func TestPassing_tells_mistakes_from_accidents(t *testing.T) {
	t.Parallel()
	for code, passing := range map[string]bool{
		"57P01": true, "57014": true, "08006": true, "40001": true, "53300": true, "55P03": true, "25P02": true, "58030": true,
		"42601": false, "42P01": false, "42703": false, "23505": false, "22001": false, "0A000": false, "3F000": false, "55000": false,
	} {
		if got := pg.Passing(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code})); got != passing {
			t.Errorf("%s passes: %t", code, got)
		}
	}
	if !pg.Passing(errors.New("the connection broke")) {
		t.Error("what is not the server's is taken for a mistake")
	}
}

func TestOutage_is_no_fault_of_what_was_asked(t *testing.T) {
	t.Parallel()
	for err, outage := range map[error]bool{
		&pgconn.PgError{Code: "57P01"}: true, &pgconn.PgError{Code: "57014"}: true, &pgconn.PgError{Code: "40P01"}: true, &pgconn.PgError{Code: "53100"}: true,
		&pgconn.PgError{Code: "28P01"}: true, &pgconn.PgError{Code: "28000"}: true, &pgconn.PgError{Code: "3D000"}: true, &pgconn.PgError{Code: "25006"}: true, &pgconn.PgError{Code: "08P01"}: false,
		&pgconn.PgError{Code: "25P02"}: false, &pgconn.PgError{Code: "23505"}: false, &pgconn.PgError{Code: "P0001"}: false,
		&net.OpError{Op: "read", Err: errors.New("reset")}: true, io.ErrUnexpectedEOF: true, &pgconn.ConnectError{}: true,
		errors.New("the reaction says no"): false, context.DeadlineExceeded: false, nil: false,
	} {
		if err != nil {
			err = fmt.Errorf("wrapped: %w", errors.Join(err))
		}
		if got := pg.Outage(err); got != outage {
			t.Errorf("%v is an outage: %t", err, got)
		}
	}
}
