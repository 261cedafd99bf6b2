package projections_test

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// projectorVariable makes the test's program a projector that a test can kill: it
// holds the database's address, the topic and the brokers.
const projectorVariable = "ASOF_TEST_PROJECTOR"

func TestMain(m *testing.M) {
	if given := os.Getenv(projectorVariable); given != "" {
		if err := runProjector(strings.Split(given, " ")); err != nil {
			panic(err)
		}
		return
	}
	time.Local = time.FixedZone("elsewhere", 5*3600)       // whatever the machine's: what is read must not depend on it
	if err := flag.Set("rapid.checks", "25"); err != nil { // the command line may ask for more
		panic(err)
	}
	os.Exit(m.Run())
}

func runProjector(args []string) error {
	pool, err := pgxpool.New(context.Background(), args[0])
	if err != nil {
		return err
	}
	client, err := kafka.New(kafka.Config{Brokers: args[2:]})
	if err != nil {
		return err
	}
	def := totals()
	def.Categories, def.Order = []string{args[1]}, projections.Commuting
	p := projections.New(pgstore.New(pool), def, projections.WithBatch(20), projections.FromKafka(client, projections.WithLogCheck(never)))
	return p.Run(context.Background())
}
