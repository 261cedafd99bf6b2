package command_test

import "testing"

func TestStatus_says_which_read_models_wait_for_events(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{"ann"})
	w.rebuild("balances", 1)
	w.must("status").has("!waits for events")
	w.exec(`insert into asof.gaps (build, source, category, stream_id, version, topic, partition, next_offset, lost)
		select id, '/x', 'account', 'a-' || n, 2, 'account', 0, 1, n = 3 from asof.builds, generate_series(1, 3) n`)
	w.must("status").has("balances waits for events of 3 streams", "of 1 they are lost: rebuild")
	if g := w.status().Projections[0].Gaps; g == nil || g.Streams != 3 || g.Lost != 1 || g.Since.IsZero() {
		t.Errorf("%+v", g)
	}
}
