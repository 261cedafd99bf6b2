package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"github.com/asof-dev/asof/embedded"
)

// taskVariable makes the test binary a program of its own.
const taskVariable = "ASOF_TEST_TASK"

const (
	holdTask  = "hold"  // starts a stack, says where, and stops it when its input ends
	proveTask = "prove" // starts a stack twice and looks that a row stays
)

// held is what the program says of its stack.
type held struct {
	DatabaseURL string   `json:"database_url"`
	Brokers     []string `json:"brokers"`
	PostgresPID int      `json:"postgres_pid"`
}

func runTask(task string) (code int) {
	work := map[string]func(context.Context) error{holdTask: hold, proveTask: prove}[task]
	if err := work(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func hold(ctx context.Context) (err error) {
	signal.Ignore(os.Interrupt)
	stack, err := embedded.Start(ctx, embedded.FromEnv())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	says := held{stack.DatabaseURL(), stack.Brokers(), stack.PostgresPID()}
	if err := json.NewEncoder(os.Stdout).Encode(says); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func prove(ctx context.Context) error {
	before, err := proveOnce(ctx)
	if err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	if after, err := proveOnce(ctx); err != nil || after != before+1 {
		return fmt.Errorf("second start: %d rows of earlier starts, not %d: %w", after, before+1, err)
	}
	return nil
}

// proveOnce returns how many starts in the directory were proved before.
func proveOnce(ctx context.Context) (before int, err error) {
	stack, err := embedded.Start(ctx, embedded.FromEnv())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	conn, err := stack.Pool(ctx, "proof")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	var path, zone string
	if err := conn.QueryRow(ctx, `SELECT current_setting('search_path'), current_setting('timezone')`).Scan(&path, &zone); err != nil || path != `"$user", public` || zone != "UTC" {
		return 0, errors.Join(err, fmt.Errorf("the environment got through: search_path %s, time zone %s", path, zone))
	}
	if _, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS starts (n int)`); err != nil {
		return 0, err
	}
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM starts`).Scan(&before); err != nil {
		return 0, err
	}
	_, err = conn.Exec(ctx, `INSERT INTO starts VALUES ($1)`, before)
	return before, err
}

// program is a child that holds a stack.
type program struct {
	held

	t     *testing.T
	cmd   *exec.Cmd
	input io.Closer
	ended bool
}

// startProgram starts one on dir; it is stopped at the end of the test.
func startProgram(t *testing.T, dir string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), taskVariable+"="+holdTask, "ASOF_DIR="+dir, "DATABASE_URL=", "KAFKA_BROKERS=")
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, ownGroup()
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, cmd: cmd, input: input}
	t.Cleanup(p.stop)
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the program has started no stack: %v", err)
	}
	if err := json.Unmarshal(line, &p.held); err != nil {
		t.Fatal(err)
	}
	return p
}

// pid is the program's own process.
func (p *program) pid() int { return p.cmd.Process.Pid }

// kill is kill -9.
func (p *program) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	p.ended = true
	_ = p.cmd.Wait() // says that it was killed
}

// stop lets it close its stack and end.
func (p *program) stop() {
	if p.ended {
		return
	}
	p.ended = true
	if err := errors.Join(p.input.Close(), p.cmd.Wait()); err != nil {
		p.t.Errorf("the program ended badly: %v", err)
	}
}
