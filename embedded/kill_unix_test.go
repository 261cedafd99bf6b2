//go:build unix

package embedded_test

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// enough is how many rows and messages are acknowledged before the kill.
const enough = 200

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func TestStack_survives_kill_of_the_server(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	stack := start(t, config(t, dir))
	prepare(t, stack.DatabaseURL(), stack.Brokers())
	written := write(t, stack.DatabaseURL(), stack.Brokers())
	written.await(enough)
	if err := syscall.Kill(stack.PostgresPID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stack.PostgresDone():
	case <-within(t).Done():
		t.Fatal("the end of the server was not noticed")
	}
	rows := written.rows()
	stop(t, stack)
	messages := written.messages()

	again := start(t, config(t, dir))
	wantKept(t, again.DatabaseURL(), again.Brokers(), rows, messages)
}

func TestStack_survives_kill_of_its_program(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	program := startProgram(t, dir)
	prepare(t, program.DatabaseURL, program.Brokers)
	wantRefusal(t, config(t, dir), "is in use by process "+strconv.Itoa(program.pid()))
	written := write(t, program.DatabaseURL, program.Brokers)
	written.await(enough)
	program.kill()
	begin := time.Now()
	again := start(t, config(t, dir)) // at once, while the old server is still stopping
	t.Logf("the start after the kill took %s", time.Since(begin))
	if !gone(program.PostgresPID) {
		t.Errorf("the old server, process %d, still runs", program.PostgresPID)
	}
	wantKept(t, again.DatabaseURL(), again.Brokers(), written.rows(), written.messages())
	if again.DatabaseURL() != program.DatabaseURL {
		t.Errorf("the address is %s and was %s", again.DatabaseURL(), program.DatabaseURL)
	}
}

func TestInterrupt_of_the_terminal_does_not_reach_the_server(t *testing.T) {
	t.Parallel()
	program := startProgram(t, newDir(t))
	conn := connect(t, program.DatabaseURL)
	if err := syscall.Kill(-program.pid(), syscall.SIGINT); err != nil { // the whole group, as Ctrl-C
		t.Fatal(err)
	}
	execute(t, conn, `SELECT pg_sleep(0.2)`) // a fast shutdown would end this session
	connect(t, program.DatabaseURL)
}

// prepare makes what write writes to.
func prepare(t *testing.T, address string, brokers []string) {
	t.Helper()
	execute(t, connect(t, address), `CREATE TABLE kept (n int)`)
	kafka := dial(t, brokers)
	kafka.create("kept")
	if err := kafka.produce("kept", "first"); err != nil {
		t.Fatal(err)
	}
	kafka.commit("readers", "kept", 1)
}

// writing is a writer of rows and one of messages, until their server is gone.
type writing struct {
	t                   *testing.T
	ackedRows, ackedMsg chan int // each number that was acknowledged; closed at the first error
	seenRows, seenMsg   []int
}

func write(t *testing.T, address string, brokers []string) *writing {
	t.Helper()
	w := &writing{t: t, ackedRows: make(chan int, 1<<20), ackedMsg: make(chan int, 1<<20)}
	conn, kafka := connect(t, address), dial(t, brokers)
	ctx := within(t)
	go until(ctx, w.ackedRows, func(n int) error { return insert(ctx, conn, n) })
	go until(ctx, w.ackedMsg, func(n int) error { return kafka.produce("kept", strconv.Itoa(n)) })
	return w
}

// until does one after another and tells which have succeeded.
func until(ctx context.Context, acked chan<- int, one func(n int) error) {
	defer close(acked)
	for n := 0; n < cap(acked) && ctx.Err() == nil; n++ {
		if one(n) != nil {
			return
		}
		acked <- n
	}
}

func insert(ctx context.Context, conn *pgx.Conn, n int) error {
	_, err := conn.Exec(ctx, `INSERT INTO kept VALUES ($1)`, n)
	return err
}

// await waits for so many of each.
func (w *writing) await(count int) {
	w.t.Helper()
	for range count {
		row, rowOK := <-w.ackedRows
		message, messageOK := <-w.ackedMsg
		if !rowOK || !messageOK {
			w.t.Fatal("writing ended too early")
		}
		w.seenRows, w.seenMsg = append(w.seenRows, row), append(w.seenMsg, message)
	}
}

// rows are all that were acknowledged; it returns when their writer has ended.
func (w *writing) rows() []int {
	for n := range w.ackedRows {
		w.seenRows = append(w.seenRows, n)
	}
	return w.seenRows
}

func (w *writing) messages() []int {
	for n := range w.ackedMsg {
		w.seenMsg = append(w.seenMsg, n)
	}
	return w.seenMsg
}

func wantKept(t *testing.T, address string, brokers []string, rows, messages []int) {
	t.Helper()
	t.Logf("%d rows and %d messages were acknowledged", len(rows), len(messages))
	kept := numbers(t, address)
	for _, n := range rows {
		if !kept[n] {
			t.Errorf("row %d was acknowledged and is gone", n)
		}
	}
	kafka := dial(t, brokers)
	values := kafka.values("kept")
	for _, n := range messages {
		if !values[strconv.Itoa(n)] {
			t.Errorf("message %d was acknowledged and is gone", n)
		}
	}
	if got := kafka.committed("readers", "kept"); got != 1 {
		t.Errorf("the group's offset is %d, not 1", got)
	}
}
