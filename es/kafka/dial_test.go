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

// An answer on any connection says that the broker is back.
func TestDial_takes_a_broker_back_that_was_heard(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	address := listener.Addr().String()
	dial := kafka.PatientDial([]string{address, mute(t)}, 1600*time.Millisecond)
	early, err := dial(testContext(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = early.Close() }()
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	silent, err := dial(testContext(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := dial(testContext(t), "tcp", address); err == nil {
		t.Fatal("the silent broker is dialled again")
	}
	if _, err := far.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := early.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	conn, err := dial(testContext(t), "tcp", address)
	if err != nil {
		t.Fatalf("the broker was heard and is still left out: %v", err)
	}
	_ = conn.Close()
}
