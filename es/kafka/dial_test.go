package kafka_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es/kafka"
)

// mute listens and never answers, as a stopped process does.
func mute(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func TestDial_gives_a_silent_broker_up_and_leaves_it_out(t *testing.T) {
	t.Parallel()
	silent, other := mute(t), mute(t)
	dial := kafka.PatientDial([]string{silent, other}, 1600*time.Millisecond)
	wait := func(address string) {
		conn, err := dial(testContext(t), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	wait(silent)
	if _, err := dial(testContext(t), "tcp", silent); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Fatalf("the silent broker is dialled again: %v", err)
	}
	wait(other)
	wait(silent) // when all are silent none is left out
}
