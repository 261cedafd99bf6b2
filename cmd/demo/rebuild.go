package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// rebuilt is what came of a rebuild under load.
type rebuilt struct {
	Seconds   float64 `json:"seconds"`
	Differing *int64  `json:"differing"`
	phases    []string
	reads     int // of the read model, while it was rebuilt
}

// ok is what must hold of it.
func (r rebuilt) ok() error {
	switch {
	case r.Differing == nil:
		return errors.New("the rebuilt table was not compared with the live one")
	case *r.Differing != 0:
		return fmt.Errorf("%d rows differ", *r.Differing)
	case len(r.phases) == 0:
		return errors.New("it showed no progress")
	case r.reads == 0:
		return errors.New("nobody read meanwhile")
	}
	return nil
}

// rebuild builds a read model anew while the traffic goes on, by the command that an
// operator types, and reads the model all the while.
func (s *scenario) rebuild(ctx context.Context) error {
	fmt.Printf("  %5d orders through: `orders rebuild summary`, under load\n", s.traffic.finished.Load())
	done := make(chan error, 1)
	var out, progress []byte
	go func() {
		var err error
		out, progress, err = once(s.orders.environment, s.orders.program, "rebuild", "summary", "--output", "json")
		done <- err
	}()
	before := int64(0)
	for {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			s.rebuilt.showProgress(string(progress))
			return json.Unmarshal(out, &s.rebuilt)
		default:
		}
		var rows int64
		err := s.ordersDB.pool.QueryRow(ctx, "select count(*) from summary.summary", pgx.QueryExecModeExec).Scan(&rows)
		if err == nil && rows < before {
			err = fmt.Errorf("it had %d rows and then %d", before, rows)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("read the model while it is rebuilt: %w", err), <-done)
		}
		before = rows
		s.rebuilt.reads++
	}
}

// showProgress prints what the command wrote on its standard error.
func (r *rebuilt) showProgress(text string) {
	for line := range strings.Lines(text) {
		var l struct {
			Progress struct {
				Phase string `json:"phase"`
				Done  int64  `json:"done"`
				Total int64  `json:"total"`
			} `json:"progress"`
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Progress.Phase != "" {
			fmt.Printf("        %s: %d of %d events\n", l.Progress.Phase, l.Progress.Done, l.Progress.Total)
			r.phases = append(r.phases, l.Progress.Phase)
		}
	}
}
