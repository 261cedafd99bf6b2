package projections_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asof-dev/asof/projections"
)

// pauses is a log handler that keeps how long Run said it would wait.
type pauses struct {
	mu   sync.Mutex
	list []time.Duration
}

func (*pauses) Enabled(context.Context, slog.Level) bool { return true }
func (p *pauses) WithAttrs([]slog.Attr) slog.Handler     { return p }
func (p *pauses) WithGroup(string) slog.Handler          { return p }

func (p *pauses) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if wait, ok := a.Value.Any().(time.Duration); ok && a.Key == "in" {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.list = append(p.list, wait)
		}
		return true
	})
	return nil
}

func (p *pauses) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list
	p.list = nil
	return list
}

func TestBackoff_begins_anew_after_progress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := &pauses{}
	p := projections.New(w.otherPool(nil), totals(), projections.WithLogger(slog.New(seen)))
	watched := projections.New(w.store, totals()) // its pool is not the one that is killed
	start(t, p)
	for range 4 {
		w.wait(watched, w.append("a-1", Deposited{Cents: 1}))
		seen.take()
		var list []time.Duration
		until(t, "a failure", func() bool { // a session that was idle for a second is looked at by the pool, and replaced unnoticed
			w.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'sleepy'`)
			list = append(list, seen.take()...)
			return len(list) > 0
		})
		if list[0] != 100*time.Millisecond {
			t.Fatalf("the first pause after a batch that succeeded is %s", list[0])
		}
	}
	w.wait(watched, w.append("a-1", Deposited{Cents: 1}))
	w.wantTotals("totals.totals")
}
