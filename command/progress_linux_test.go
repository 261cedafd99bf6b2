package command_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/asof-dev/asof/command"
)

// On a terminal a rebuild shows a bar. A pseudo-terminal stands for one.
func TestRebuild_draws_a_bar_on_a_terminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"}, Deposited{100})
	terminal, shows := newTerminal(t)
	out := newBuffer()
	code := command.Run(t.Context(), command.New(w.service), command.Invocation{
		Args: []string{"rebuild", "balances"}, Env: w.env, Stdout: out, Stderr: terminal,
	})
	shown := shows("balances version 1: live", "\n")
	if code != command.ExitOK || !strings.Contains(out.String(), "balances version 1 is live") {
		t.Errorf("code %d: %s%s", code, out, shown)
	}
	for _, text := range []string{"balances version 1: live", "[====", "100 %", "2 of 2 events"} {
		if !strings.Contains(shown, text) {
			t.Errorf("%q is not in what the screen shows: %q", text, shown)
		}
	}
}

// Whatever the width, drawing again goes over what was drawn: no line may go on in the
// next one.
func TestBar_stays_on_one_line(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	terminal, shows := newTerminal(t)
	for _, last := range []string{"live", "interrupted"} {
		ctx, stop := context.WithCancel(t.Context())
		if last == "interrupted" {
			stop()
		}
		command.Run(ctx, command.New(w.service), command.Invocation{Args: []string{"rebuild", "balances"}, Env: w.env, Stdout: newBuffer(), Stderr: terminal})
		stop()
	}
	drawn, rest, ended := strings.Cut(shows("\n", "interrupted"), "\n")
	if !ended || !strings.Contains(rest, "interrupted") {
		t.Errorf("%q, then %q", drawn, rest)
	}
	for draw := range strings.SplitSeq(strings.TrimSuffix(drawn, "\r"), "\x1b[?7h\r") { // wrapping is on again after each
		if draw != "" && (!strings.HasPrefix(draw, "\x1b[?7l\r") || !strings.HasSuffix(draw, "\x1b[K")) {
			t.Errorf("drawn as %q", draw)
		}
	}
}

// newTerminal is a terminal whose screen is read. What it shows is asked for with texts
// that must come, in this order: a system may drop what is still on its way to the
// screen when the terminal is closed, so it stays open until the test ends.
func newTerminal(t *testing.T) (terminal *os.File, shows func(texts ...string) string) {
	t.Helper()
	master, terminal := openTerminal(t)
	screen, read := newBuffer(), make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(screen, master) // ends with an error when the other side is closed
	}()
	t.Cleanup(func() {
		_ = terminal.Close()
		<-read
	})
	return terminal, func(texts ...string) string {
		until(t, fmt.Sprintf("%q on the screen", texts), func() bool {
			rest := screen.String()
			return !slices.ContainsFunc(texts, func(text string) (missing bool) {
				_, after, found := strings.Cut(rest, text)
				rest = after
				return !found
			})
		})
		return screen.String()
	}
}

func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}); err != nil {
		t.Fatal(err)
	}
	return master, terminal
}
