package projections_test

import (
	"errors"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// The log and the read models, each in a server of its own, are both put back, to moments of
// their own, and other events stand in the place of those that are lost. Who has read what is
// lost says so; the others go on: their rows are those of the log that there is now.
func TestLog_and_read_models_that_are_both_put_back(t *testing.T) {
	t.Parallel()
	logs, rows := embeddedtest.Server(t), embeddedtest.Server(t)
	c := newClusterOn(t, newWorldOn(t, pgstoretest.Open(t, rows.URL())), pgstoretest.Open(t, logs.URL()))
	fed := c.totals()
	fed.Name = "fed"
	fresh := func() (ofLog, ofTopic *projections.Projector) {
		c.store = pgstore.New(logs.Pool())
		return c.new(c.totals()), c.projector(fed, projections.WithLogCheck(often))
	}
	ofLog, ofTopic := fresh()
	stopLog, stopTopic := start(t, ofLog), start(t, ofTopic)
	var ofLogs, ofRows [2]*embeddedtest.Backup
	for moment := range ofLogs {
		c.tell("a-1", Deposited{Cents: int64(moment)})
		last := c.tell("a-2", Deposited{Cents: int64(moment)})
		c.wait(ofLog, last)
		c.wait(ofTopic, last)
		ofLogs[moment], ofRows[moment] = logs.Backup(), rows.Backup()
	}
	c.tell("a-1", Deposited{Cents: 2})
	if err := errors.Join(stopLog(), stopTopic()); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]struct {
		log, rows int // the backup
		refused   bool
	}{
		"the log further back":         {0, 1, true},
		"the read models further back": {1, 0, false},
		"both as far back":             {0, 0, false},
	} {
		logs.Restore(ofLogs[at.log])
		rows.Restore(ofRows[at.rows])
		c.pool.Reset() // of sessions that do not know yet
		ofLog, ofTopic := fresh()
		var last es.Position
		for i := range 5 {
			last = c.append("a-1", Deposited{Cents: int64(100 + i)})
		}
		for table, p := range map[string]*projections.Projector{"totals.totals": ofLog, "fed.totals": ofTopic} {
			if at.refused {
				if err := p.Run(within(t, patient)); !errors.Is(err, es.ErrRestored) {
					t.Errorf("%s: Run of %s: %v", name, p.Name(), err)
				}
				continue
			}
			stop := start(t, p)
			c.wait(p, last)
			c.wantTotals(table)
			c.wantApplied(p.Name())
			if err := stop(); err != nil {
				t.Errorf("%s: Run of %s: %v", name, p.Name(), err)
			}
		}
	}
}
