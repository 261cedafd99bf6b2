package projections_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/pgstore"
)

// A process that dies has sent so many messages to the database, and no more. Whether it has
// seen the last answer does not matter to what it leaves, nor do messages that only read, nor
// do those of a transaction that is never committed. So a test that lets it die before each
// message that commits something has let it die at every step.

// commit is one: of what, and the how manieth of it. Named like this it is found again in
// another run, where a timer may have gone off more often.
type commit struct {
	of  string // tables that are written, and "schema" where one is made, renamed or dropped
	nth int
}

// lifeline is the network of a process, all of which ends at once.
type lifeline struct {
	died context.CancelFunc
	gone chan struct{} // closed when all connections are
	dead atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

var errDead = errors.New("the process is dead")

// connect makes a connection that ends with the process.
func (l *lifeline) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if l.dead.Load() {
		return nil, errDead
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	return conn, nil
}

// die ends all connections, once.
func (l *lifeline) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead.Swap(true) {
		return
	}
	l.died()
	for _, c := range l.conns {
		_ = c.Close()
	}
	close(l.gone)
}

// mortal is the network of a process that dies before a commit.
type mortal struct {
	lifeline
	at commit // zero: it lives

	counting sync.Mutex
	steps    map[string]int // what was committed, how often
}

func (m *mortal) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := m.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &mortalConn{Conn: conn, of: m}, nil
}

// commits is told of each commit before it is sent, and reports whether the process dies now.
func (m *mortal) commits(of string) bool {
	m.counting.Lock()
	defer m.counting.Unlock()
	m.steps[of]++
	if m.dead.Load() || m.at != (commit{of, m.steps[of]}) {
		return m.dead.Load()
	}
	m.die()
	return true
}

// made is what was committed, how often.
func (m *mortal) made() map[string]int {
	m.counting.Lock()
	defer m.counting.Unlock()
	return maps.Clone(m.steps)
}

// mortalConn knows what is written in the transaction that is open.
type mortalConn struct {
	net.Conn
	of      *mortal
	open    bool
	written map[string]bool
}

func (c *mortalConn) Write(data []byte) (int, error) {
	if c.of.dead.Load() || c.read(data) && c.of.commits(strings.Join(slices.Sorted(maps.Keys(c.written)), " ")) {
		return 0, errDead
	}
	if !c.open {
		c.written = nil
	}
	return c.Conn.Write(data)
}

// read looks at what is to be sent, and reports whether it commits something.
func (c *mortalConn) read(data []byte) (commits bool) {
	for _, sql := range statements(data) {
		switch word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(sql)), " "); word {
		case "begin":
			c.open = true
		case "rollback":
			c.open, c.written = false, nil
		case "commit":
			c.open, commits = false, len(c.written) > 0
		default:
			c.note(sql)
		}
	}
	return commits || !c.open && len(c.written) > 0
}

// statements are the texts in messages of the protocol.
func statements(data []byte) (list []string) {
	for len(data) > 5 && data[0] != 0 { // the first message of a connection has no type
		end := min(1+int(binary.BigEndian.Uint32(data[1:])), len(data))
		switch body := data[5:end]; data[0] {
		case 'Q':
			list = append(list, string(bytes.TrimRight(body, "\x00")))
		case 'P':
			_, sql, _ := bytes.Cut(body, []byte{0})
			list = append(list, string(sql))
		}
		data = data[end:]
	}
	return list
}

var (
	writes  = regexp.MustCompile(`(?i)\b(?:insert into|delete from|update|copy|create table)\s+("[^"]+"(?:\.(?:"[^"]+"|\w+))?|ledger\b|lines\b)`)
	schemas = regexp.MustCompile(`(?i)\b(?:create|alter|drop) schema\b`)
)

// note takes down what a statement writes.
func (c *mortalConn) note(sql string) {
	if c.written == nil {
		c.written = map[string]bool{}
	}
	for _, found := range writes.FindAllStringSubmatch(sql, -1) {
		parts := strings.Split(found[1], ".")
		c.written[strings.Trim(parts[len(parts)-1], `"`)] = true
	}
	if schemas.MatchString(sql) {
		c.written["schema"] = true
	}
}

// dying is the store as a process has it that dies before a commit; zero: it lives.
func (w *world) dying(at commit) (*pgstore.Store, *mortal, context.Context) {
	w.Helper()
	ctx, cancel := context.WithCancel(within(w, 2*time.Minute))
	w.Cleanup(cancel)
	m := &mortal{lifeline: lifeline{died: cancel, gone: make(chan struct{})}, at: at, steps: map[string]int{}}
	config := w.pool.Config()
	config.ConnConfig.DialFunc = m.dial
	config.MinConns, config.MaxConns = 0, 4
	config.ConnConfig.RuntimeParams["application_name"] = w.category
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // a message says what it does
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(pool.Close)
	return pgstore.New(pool), m, ctx
}
