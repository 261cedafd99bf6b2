package main

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

func TestSame_notices_a_table_that_differs(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	l, err := w.sales(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.store.Pool().Close()
	if err := l.load(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	if d, err := l.rebuild(t.Context()); err != nil || d.events != 101 {
		t.Fatalf("%d events rebuilt: %v", d.events, err)
	}
	if d, err := l.rebuildBare(t.Context()); err != nil || d.events != 101 {
		t.Fatalf("%d events of the bare program: %v", d.events, err)
	}
	if err := l.same(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{`update bare_sales set cents = cents + 1 where id = 'first'`, `delete from bare_sales where id = 'first'`, `truncate bare_sales`} {
		if _, err := l.store.Pool().Exec(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		if err := l.same(t.Context()); err == nil {
			t.Errorf("after %q the tables are said to be the same", damage)
		}
	}
}

func TestProxy_gives_every_answer_on_later(t *testing.T) {
	t.Parallel()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	defer group.Wait()
	defer echo.Close()
	group.Go(func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			group.Go(func() { _, _ = io.Copy(conn, conn) })
		}
	})
	var p proxy
	defer p.close()
	var direct net.Dialer
	conn, err := p.dial(direct.DialContext)(t.Context(), "tcp", echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, size := range []int{1, 200_000} {
		sent, got := bytes.Repeat([]byte("asof"), size), make([]byte, 4*size)
		began := time.Now()
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes do not come back as they were: %v", 4*size, err)
		}
		if took := time.Since(began); took < lateness {
			t.Errorf("the answer came after %s", took)
		}
	}
}
