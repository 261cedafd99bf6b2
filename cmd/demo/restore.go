package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// parts are the processes of a service.
func parts() []string { return []string{"relay", "project", "serve"} }

// afterBackup is how many orders are placed after the backup, and lost.
const afterBackup = 25

// restore does what every operator does one day: it puts the database of orders back to
// a backup, after more was ordered, published and reserved. Everything must notice.
func (s *scenario) restore(ctx context.Context) error {
	headline("Putting the database of orders back to a backup")
	if err := s.offline(ctx, func(admin *pgx.Conn, name string) error {
		_, err := admin.Exec(ctx, "create database "+quoted(name+"_backup")+" template "+quoted(name))
		return err
	}); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	fmt.Printf("  backed up; %d more orders are placed, published and reserved\n", afterBackup)
	if err := s.order(ctx, "lost", afterBackup); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	lost, err := s.ordersDB.store.Status(ctx)
	if err != nil {
		return err
	}
	if err := s.putBack(ctx); err != nil {
		return fmt.Errorf("put back: %w", err)
	}
	return s.recover(ctx, lost.Head)
}

// putBack puts the backup in the place of the database, and tries to go on as if
// nothing had happened.
func (s *scenario) putBack(ctx context.Context) error {
	if err := s.stop(s.orders); err != nil {
		return err
	}
	s.ordersDB.pool.Close()
	err := s.administer(ctx, func(admin *pgx.Conn, name string) error {
		_, err := admin.Exec(ctx, "drop database "+quoted(name)+" with (force)")
		if err == nil {
			_, err = admin.Exec(ctx, "alter database "+quoted(name+"_backup")+" rename to "+quoted(name))
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, part := range [][]string{{"relay"}, {"project", "--from", "kafka"}} {
		_, text, err := once(s.orders.environment, s.orders.program, part...)
		s.check("`orders "+part[0]+"` refuses the database that was put back, and says what to do", refused(err, string(text)), "")
	}
	s.ordersDB, err = openDatabase(ctx, s.ready.Databases["orders"])
	return err
}

// refused is nil for an error that names what was met and what to type.
func refused(err error, text string) error {
	switch {
	case err == nil:
		return errors.New("it went on")
	case !strings.Contains(text, es.ErrRestored.Error()) || !strings.Contains(text, "orders repair"):
		return fmt.Errorf("it said %q", text)
	}
	return nil
}

// recover is what an operator then types.
func (s *scenario) recover(ctx context.Context, before es.Position) error {
	st, err := s.status(s.orders)
	if err != nil {
		return err
	}
	from := strconv.FormatInt(int64(st.Relay.Position), 10)
	out, _, err := once(s.orders.environment, s.orders.program, "repair", "--from", from, "--lost", "--output", "json")
	if err != nil {
		return err
	}
	var repaired struct {
		Life string `json:"life"`
	}
	if err := json.Unmarshal(out, &repaired); err != nil {
		return err
	}
	fmt.Printf("  $ orders repair --from %s --lost   # the log ends at %d, and ended at %d\n", from, st.Log.Head, before)
	if err := s.launchAll(ctx, s.orders); err != nil {
		return err
	}
	if err := s.order(ctx, "new", afterBackup); err != nil {
		return err
	}
	s.check("inventory stops at the first message of the store's new life", s.inventoryStops(ctx), "life %.8s…", repaired.Life)
	if _, _, err := once(s.inventory.environment, s.inventory.program, "accept", "inventory", "--source", "/orders", "--life", repaired.Life, "--kept", from); err != nil {
		return err
	}
	fmt.Printf("  $ inventory accept inventory --source /orders --life %.8s… --kept %s\n", repaired.Life, from)
	if err := s.start(s.inventory, "serve"); err != nil {
		return err
	}
	if err := s.awaitServices(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	return s.rightAgain(ctx)
}

// inventoryStops waits until the process that reacts to orders has ended by itself.
func (s *scenario) inventoryStops(ctx context.Context) error {
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	select {
	case p := <-s.ended:
		text, err := os.ReadFile(p.logPath)
		if err == nil && (p.name != "inventory-serve" || !strings.Contains(string(text), es.ErrAnotherLife.Error())) {
			err = fmt.Errorf("%s ended: %w", p.name, p.err)
		}
		s.forget(p)
		return err
	case <-timer.C:
		return errors.New("it goes on")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rightAgain compares the read models with their logs once more.
func (s *scenario) rightAgain(ctx context.Context) error {
	l, err := s.readLogs(ctx)
	if err != nil {
		return err
	}
	s.models(ctx, l.orders, l.stock)
	orphans := len(l.stock.reservations) - len(l.orders.orders)
	var wrong error
	if orphans != afterBackup {
		wrong = fmt.Errorf("%d reservations are of no order", orphans)
	}
	s.check("of the lost orders inventory has its reservations, to be released by whoever knows better; of the others it has one each", wrong, "%d of %d", orphans, len(l.stock.reservations))
	return nil
}

// order places orders that have enough of everything.
func (s *scenario) order(ctx context.Context, what string, n int) error {
	for i := range n {
		body := map[string]any{"customer": "ann", "items": []map[string]any{{"product": product(i % products), "quantity": 1, "price_cents": 100}}}
		status, err := s.traffic.orders.post(ctx, "/orders", fmt.Sprintf("restore-%s-%d", what, i), body, nil)
		if err != nil || status >= 300 {
			return fmt.Errorf("place an order: status %d, %w", status, err)
		}
	}
	return nil
}

// offline does something to the database of orders while nobody uses it.
func (s *scenario) offline(ctx context.Context, do func(admin *pgx.Conn, name string) error) error {
	if err := s.stop(s.orders); err != nil {
		return err
	}
	s.ordersDB.pool.Close()
	if err := s.administer(ctx, do); err != nil {
		return err
	}
	var err error
	if s.ordersDB, err = openDatabase(ctx, s.ready.Databases["orders"]); err != nil {
		return err
	}
	return s.launchAll(ctx, s.orders)
}

// administer connects to the server, beside its databases.
func (s *scenario) administer(ctx context.Context, do func(admin *pgx.Conn, name string) error) error {
	admin, err := pgx.Connect(ctx, s.ready.DatabaseURL)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	address, err := url.Parse(s.ready.Databases["orders"])
	if err != nil {
		return err
	}
	return do(admin, strings.TrimPrefix(address.Path, "/"))
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// stop stops all parts of a service.
func (s *scenario) stop(of service) error {
	for _, part := range parts() {
		p := s.part(of, part)
		if p == nil {
			return fmt.Errorf("%s %s does not run", of.name, part)
		}
		s.forget(p)
		if err := p.stop(false); err != nil {
			return err
		}
	}
	return nil
}

// launchAll starts all parts of a service and waits for its API.
func (s *scenario) launchAll(ctx context.Context, of service) error {
	for _, part := range parts() {
		if err := s.start(of, part); err != nil {
			return err
		}
	}
	return s.awaitServices(ctx)
}
