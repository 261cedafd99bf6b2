package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// ready is the line by which `asof dev --output json` says where everything is.
type ready struct {
	DatabaseURL string            `json:"database_url"`
	Databases   map[string]string `json:"databases"`
	Brokers     []string          `json:"brokers"`
}

// stack is the embedded Postgres and Kafka and the services on it, all of them
// processes.
type stack struct {
	home      *home
	bin, logs string
	ready     ready
	ended     chan *process
	running   []*process // in the order of their start
	orders    service
	inventory service
}

// service is what one of the two needs to run.
type service struct {
	name, program string
	environment   []string // where its database and the brokers are
	url           string   // of its HTTP API
	listen        string
}

// startStack brings all up in home. The caller closes the stack, also after an error.
func startStack(ctx context.Context, home *home, o options) (*stack, error) {
	s := &stack{home: home, bin: home.bin(), logs: home.logs(), ended: make(chan *process, 16)}
	dir := o.dir
	if dir == "" && !o.keep {
		dir = home.data()
	}
	for _, step := range []struct {
		text string
		do   func() error
	}{
		{"building asof, orders and inventory", func() error { return s.build(ctx) }},
		{"starting Postgres and Kafka (the first time, PostgreSQL is fetched: 15 MB)", func() error { return s.startServers(ctx, dir) }},
		{"starting both services: HTTP API and reactions, relay, projector", func() error { return s.startServices(o.keep) }},
		{"waiting for the HTTP APIs", func() error { return s.awaitServices(ctx) }},
	} {
		fmt.Println("·", step.text)
		if err := step.do(); err != nil {
			return s, fmt.Errorf("%s: %w", step.text, err)
		}
	}
	return s, nil
}

func (s *stack) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", s.bin+string(filepath.Separator),
		"./cmd/asof", "./services/orders/cmd/orders", "./services/inventory/cmd/inventory")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: run the demo in the project's folder:\n%s", err, out)
	}
	return nil
}

func (s *stack) startServers(ctx context.Context, dir string) error {
	args := []string{"dev", "--output", "json"}
	if dir != "" {
		args = append(args, "--dir", dir)
	}
	out := newOutput()
	dev, err := launch("asof-dev", s.logs, out, s.ended, nil, filepath.Join(s.bin, "asof"), args...)
	if err != nil {
		return err
	}
	s.running = append(s.running, dev)
	select {
	case line := <-out.line:
		if err := json.Unmarshal(line, &s.ready); err != nil {
			return fmt.Errorf("asof dev said %q: %w", line, err)
		}
		return nil
	case <-dev.done:
		text, _ := os.ReadFile(dev.logPath)
		return fmt.Errorf("asof dev ended: %w\n%s", dev.err, text)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startServices starts them on the addresses that they have by default, if somebody
// is to type these, else on any.
func (s *stack) startServices(usual bool) error {
	for _, at := range []struct {
		service *service
		name    string
		usual   string
	}{{&s.inventory, "inventory", "127.0.0.1:8082"}, {&s.orders, "orders", "127.0.0.1:8081"}} {
		address, err := freeAddress("127.0.0.1:0")
		if usual {
			if found, taken := freeAddress(at.usual); taken == nil {
				address = found
			}
		}
		if err != nil {
			return err
		}
		*at.service = service{
			name: at.name, program: filepath.Join(s.bin, at.name), listen: address, url: "http://" + address,
			environment: []string{"DATABASE_URL=" + s.ready.Databases[at.name], "KAFKA_BROKERS=" + s.ready.Brokers[0]},
		}
		for _, part := range parts() {
			if err := s.start(*at.service, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// start runs a part of a service as a process of its own.
func (s *stack) start(of service, part string) error {
	args := []string{part}
	if part == "serve" {
		args = append(args, "--listen", of.listen)
	}
	if part == "project" {
		args = append(args, "--from", "kafka")
	}
	p, err := launch(of.name+"-"+part, s.logs, nil, s.ended, of.environment, of.program, args...)
	if err == nil {
		s.running = append(s.running, p)
	}
	return err
}

// kill ends a part of a service with kill -9.
func (s *stack) kill(of service, part string) error {
	p := s.part(of, part)
	if p == nil {
		return fmt.Errorf("%s %s does not run", of.name, part)
	}
	s.forget(p)
	return p.kill()
}

// part is a process that runs; nil when it does not.
func (s *stack) part(of service, part string) *process {
	i := slices.IndexFunc(s.running, func(p *process) bool { return p.name == of.name+"-"+part })
	if i < 0 {
		return nil
	}
	return s.running[i]
}

// forget leaves the end of a process to the caller.
func (s *stack) forget(p *process) {
	s.running = slices.DeleteFunc(s.running, func(other *process) bool { return other == p })
}

// freeAddress is the wanted one, if nobody listens on it.
func freeAddress(wanted string) (string, error) {
	listener, err := net.Listen("tcp", wanted)
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func (s *stack) awaitServices(ctx context.Context) error {
	for _, of := range []service{s.inventory, s.orders} {
		err := s.poll(ctx, 30*time.Second, func() (bool, error) {
			response, err := http.Get(of.url + "/healthz")
			if err != nil {
				return false, nil
			}
			return response.StatusCode < 300, response.Body.Close()
		})
		if err != nil {
			return fmt.Errorf("%s does not answer: %w", of.name, err)
		}
	}
	return nil
}

// poll asks until a condition holds, for a while at most, or until a process ends
// that should not.
func (s *stack) poll(ctx context.Context, limit time.Duration, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s", limit))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case p := <-s.ended:
			return fmt.Errorf("%s ended by itself: %w", p.name, p.err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// close stops all, the last that was started first, the servers at the end.
func (s *stack) close(early bool) error {
	var errs []error
	for _, p := range slices.Backward(s.running) {
		errs = append(errs, p.stop(early))
	}
	s.running = nil
	return errors.Join(errs...)
}
