package pg_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/internal/pg"
)

// Pieces of the passwords below. Nothing else in them is spelled so.
var secretPieces = []string{"sek", "q7z", "w0rt"}

// tellAll is everything that an address leads to: the error of reading it, or the one
// of connecting with it.
func tellAll(address string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text := ""
	if config, err := pg.ParseConn(address); err != nil {
		text += fmt.Sprintf("%v %+v %#v", err, err, err)
	} else if _, err := pgx.ConnectConfig(ctx, config); err != nil {
		text += err.Error()
	}
	if config, err := pg.ParsePool(address); err != nil {
		text += fmt.Sprintf("%v %+v %#v", err, err, err)
	} else if pool, err := pgxpool.NewWithConfig(ctx, config); err != nil {
		text += err.Error()
	} else {
		text += fmt.Sprint(pool.Ping(ctx))
		pool.Close()
	}
	if _, err := pg.WithDatabase(address, "other"); err != nil {
		text += fmt.Sprintf("%v %+v %#v", err, err, err)
	}
	return text
}

func TestAddress_shows_no_part_of_its_password(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		// What does not stand for itself in a URL.
		"postgres://u:sek@q7z@127.0.0.1:1/x", "postgresql://u:sek@q7z:w0rt@127.0.0.1:1/x",
		"postgres://u:sek/q7z@127.0.0.1:1/x", "postgres://u:sek@q7z/w0rt@127.0.0.1:1/x",
		"postgres://u:sek?q7z@127.0.0.1:1/x", "postgres://u:sek@q7z?w0rt@127.0.0.1:1/x", "postgres://u:sek@q7z?w0rt=1@127.0.0.1:1/x",
		"postgres://u:sek#q7z@127.0.0.1:1/x", "postgres://u:sek@q7z#w0rt@127.0.0.1:1/x", "postgres://u:sek/q7z?w0rt=x@127.0.0.1:1/x",
		"postgres://u:sek%q7z@127.0.0.1:1/x", "postgres://u:sek%@127.0.0.1:1/x", "postgres://u:sek%00q7z@127.0.0.1:1/x",
		"postgres://u:sek q7z@127.0.0.1:1/x", "postgres://u:sek:q7z@127.0.0.1:1/x", "postgres://u:sek[q7z@127.0.0.1:1/x",
		"postgres://u:sek`: invalid q7z@127.0.0.1:x/x", "postgres://u:sek\nq7z@127.0.0.1:1/x", "postgres://u:sek\x00q7z@127.0.0.1:1/x",
		"postgres://u:sekq7z", "postgres://u:sek/q7z", "postgres://u:sek,q7z/x", "postgres://u:sek\x7fq7z@[127.0.0.1/x",
		// In the query.
		"postgres://u@127.0.0.1:1/x?password=sek&q7z", "postgres://u@127.0.0.1:1/x?password=sek=q7z", "postgres://u@127.0.0.1:1/x?password=sek%q7z",
		"postgres://u@127.0.0.1:1/x?password=sek&q7z%zz=1", "postgres://u@127.0.0.1:1/x?password=sek@q7z", "postgres://127.0.0.1:1/x?user=u&password=sek q7z",
		"postgres://u@127.0.0.1:1/x?sslpassword=sekq7z&sslmode=odd", "postgres://u:sekq7z@127.0.0.1:1/x?pool_max_conns=many", "postgres://u@127.0.0.1:1/x?pool_max_conns=1;password=sekq7z",
		"postgres://u:sekq7z@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/nowhere", "postgres://u:sekq7z@127.0.0.1:1/x?target_session_attrs=odd", "postgres://u:sekq7z@127.0.0.1:1/x?connect_timeout=odd",
		"postgres://u:sekq7z@127.0.0.1:1/x?passfile=/nowhere", "postgres://u:sekq7z@127.0.0.1:1/x?default_query_exec_mode=odd", "postgres://u:sekq7z@127.0.0.1:1/x?service=nowhere",
		// Several hosts.
		"postgres://u:sekq7z@127.0.0.1:1,127.0.0.1:2/x", "postgres://u:sek@q7z@127.0.0.1:1,127.0.0.1:2/x", "postgres://u:sekq7z@127.0.0.1:1,u:w0rt@127.0.0.1:2/x", "postgres://u:sek,q7z@127.0.0.1:1,2,3:4/x", "postgres://u:sekq7z@127.0.0.1:1,127.0.0.2:2,127.0.0.1/x?port=1,2",
		// Words and values.
		"host=127.0.0.1 port=1 user=u password=sekq7z", "host=127.0.0.1 port=1 user=u password=sek q7z", "host=127.0.0.1 port=1 user=u password=sek q7z dbname=x",
		"host=127.0.0.1 port=1 user=u password='sek q7z", `host=127.0.0.1 port=1 user=u password='sek\'q7z`, `host=127.0.0.1 port=1 user=u password='sek'q7z' dbname=x`,
		`host=127.0.0.1 port=1 user=u password='sek'q7z=x dbname=x`, `host=127.0.0.1 port=odd user=u password = 'sek \' q7z'`, "host=127.0.0.1 port=1 password=sek-q7z=w0rt sek-q7z=x",
		`host=127.0.0.1 port=1 password=sek\`, `host=127.0.0.1 port=1 password=sekq7z pool_max_conns=w0rt`, "host=127.0.0.1 port=1 sslpassword=sekq7z sslmode=odd",
		// Neither.
		"u:sekq7z@127.0.0.1/x", "//u:sekq7z@127.0.0.1/x", "u:sekq7z@127.0.0.1/x?sslmode=disable", "Postgres://u:sekq7z@127.0.0.1/x?a=b", "mysql://u:sekq7z@127.0.0.1/x?a=b",
		" postgres://u:sekq7z@127.0.0.1/x?a=b", "jdbc:postgresql://127.0.0.1/x?password=sekq7z", `"postgres://u:sekq7z@127.0.0.1/x?a=b"`, "postgres:/u:sekq7z@127.0.0.1/x?a=b", "sekq7z",
	} {
		text := tellAll(address)
		if text == "" {
			t.Errorf("%q leads to no error at all", address)
		}
		for _, piece := range secretPieces {
			if strings.Contains(text, piece) {
				t.Errorf("%q shows %q:\n%s", address, piece, text)
			}
		}
	}
}

func TestAddress_says_how_to_write_what_it_refuses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://u:sec@ret@127.0.0.1:5/x":       "write @ as %40",
		"postgres://u:sec/ret@127.0.0.1:5/x":       "/ as %2F",
		"postgres://u:sec%ret@127.0.0.1:5/x":       "% as %25",
		"postgres://u@127.0.0.1/x?password=a&b":    "write & as %26",
		"host=h password=a b":                      "write a value with spaces",
		"u:secret@h/x":                             "give postgres://user:password@host:port/database",
		"postgres://u:p@h:port/x":                  "invalid port: give host:port",
		"postgres://u:p@h/x?pool_max_conns=0":      "pool_max_conns too small",
		"postgres://u:p@h/x?pool_max_conns=many":   "cannot parse pool_max_conns",
		"postgres://u:p@h/x?service=nowhere":       "failed to read service: ",
		"postgres://u:p@h/x?sslrootcert=/nowhere":  "/nowhere: no such file",
		"postgres://u:p@h/x?connect_timeout=later": "invalid connect_timeout",
		"postgres://h:1,i:2,j/x?port=1,2":          "could not match 2 port numbers to 3 hosts",
		"postgres://h/x?target_session_attrs=odd":  "unknown target_session_attrs",
	} {
		if _, err := pg.ParsePool(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", address, err, want)
		}
	}
}

func TestAddress_is_read_as_pgx_reads_it(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "postgres://", "postgres:///x", "postgres://h", "postgres://u@h", "postgresql://u:p@h:1/x?sslmode=disable", "postgres://u:%40%2F%3F%23%25%20@h:1/x",
		"postgres://u:a?b#c:d[e]@h:1/x", "postgres://u:p@h1:1,h2:2/x", "postgres://u:p@[::1]:1/x", "postgres://u:p@h/x?user=me%40corp&options=-c%20a%3Db", "postgres://u:p@h/x?pool_max_conns=3",
		`host=h port=1 user=u password='a \' b \\ c' dbname=x`, "host=h password=p@ss/w?o#r%d", "host = h\tport= 1\nuser =u", "password='' host=h", `host=h password=a\ b`, "host=h search_path=a,b",
	} {
		want, err := pgx.ParseConfig(address)
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		got, err := pg.ParseConn(address)
		if err != nil || got.Host != want.Host || got.Port != want.Port || got.User != want.User || got.Password != want.Password || got.Database != want.Database {
			t.Errorf("%q: %v, %+v", address, err, got)
		}
		if _, err := pg.ParsePool(address); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestWithDatabase_changes_nothing_else(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://", "postgres://h", "postgres://u:a?b#c@h:1", "postgresql://u:%40p@h:1/x?sslmode=disable", "postgres://u:p@h1:1,h2:2/x?connect_timeout=3", "postgres://u:p@[::1]:1/",
		"postgres://u:p@h/x?dbname=y&sslmode=disable", "postgres://u:p@h/?d%61tabase=y", "postgres://u:p@h?database=y", "host=h dbname=x password='a b'", "host=h database=x", "user=u", `host=h password=a\\`,
	} {
		for _, name := range []string{"orders", "a b", "a@b/c?d#e%f&g=h+i", `a'b\c"d`, "ä"} {
			before, err := pg.ParseConn(address)
			if err != nil {
				t.Fatalf("%q: %v", address, err)
			}
			changed, err := pg.WithDatabase(address, name)
			if err != nil {
				t.Errorf("%q: %v", address, err)
				continue
			}
			after, err := pg.ParseConn(changed)
			if err != nil {
				t.Errorf("%q became %q: %v", address, changed, err)
				continue
			}
			if after.Database != name || after.Host != before.Host || after.Port != before.Port || after.User != before.User || after.Password != before.Password || after.ConnectTimeout != before.ConnectTimeout || len(after.Fallbacks) != len(before.Fallbacks) {
				t.Errorf("%q became %q: database %q, host %q, user %q", address, changed, after.Database, after.Host, after.User)
			}
		}
	}
	if _, err := pg.WithDatabase("postgres://h", ""); err == nil {
		t.Error("a database without a name")
	}
}
