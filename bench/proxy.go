package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// lateness is how much later an answer comes through the proxy.
const lateness = 2 * time.Millisecond

// dialer is how pgx reaches its server.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// proxy stands between a client and its Postgres, and gives on what the server sends
// with a delay, as a longer wire does: what is under way at once is late once.
type proxy struct {
	mu     sync.Mutex
	conns  []net.Conn
	closed bool
	group  sync.WaitGroup
}

// dial returns a dialer that reaches the server through the proxy.
func (p *proxy) dial(direct dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		server, err := direct(ctx, network, address)
		if err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, server.Close())
		}
		defer listener.Close()
		var d net.Dialer
		ours, err := d.DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return nil, errors.Join(err, server.Close())
		}
		client, err := listener.Accept()
		if err != nil {
			return nil, errors.Join(err, server.Close(), ours.Close())
		}
		p.carry(client, server)
		return ours, nil
	}
}

// carry gives bytes on, in both directions, until a side ends.
func (p *proxy) carry(client, server net.Conn) {
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	if p.closed {
		_, _ = client.Close(), server.Close()
	}
	p.mu.Unlock()
	end := func() { _, _ = client.Close(), server.Close() }
	p.group.Go(func() {
		defer end()
		_, _ = io.Copy(server, client)
	})
	chunks := make(chan chunk, 4096)
	p.group.Go(func() {
		defer close(chunks)
		readChunks(server, chunks)
	})
	p.group.Go(func() {
		defer end()
		writeLate(client, chunks)
	})
}

// chunk is what the server has sent, and when it came.
type chunk struct {
	at   time.Time
	data []byte
}

func readChunks(from io.Reader, chunks chan<- chunk) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			chunks <- chunk{at: time.Now(), data: append([]byte(nil), buffer[:n]...)}
		}
		if err != nil {
			return
		}
	}
}

// writeLate takes all chunks, so that nobody waits to give one.
func writeLate(to io.Writer, chunks <-chan chunk) {
	failed := false
	for c := range chunks {
		if failed {
			continue
		}
		<-time.After(time.Until(c.at.Add(lateness)))
		_, err := to.Write(c.data)
		failed = err != nil
	}
}

// close ends all connections.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	for _, conn := range p.conns {
		_ = conn.Close() // most are closed already
	}
	p.mu.Unlock()
	p.group.Wait()
}
