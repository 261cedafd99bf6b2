package embeddedtest

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/asof-dev/asof/embedded/internal/kafkaserver"
)

// brokersVariable names real brokers to test against.
const brokersVariable = "ASOF_TEST_KAFKA_BROKERS"

// sharedBrokers is the one cluster of this test process, of three nodes so
// that clients have to find a partition's leader.
//
//nolint:gochecknoglobals // the tests of a process share it
var sharedBrokers = sync.OnceValues(func() ([]string, error) {
	if given := os.Getenv(brokersVariable); given != "" {
		return strings.Split(given, ","), nil
	}
	server, err := kafkaserver.Start(context.Background(), kafkaserver.Config{Nodes: 3})
	if err != nil {
		return nil, err
	}
	return server.Addrs(), nil
})

// Brokers returns the host:port of the brokers that the tests of this process
// share: those of $ASOF_TEST_KAFKA_BROKERS (separated by commas), else an
// embedded cluster of three nodes that keeps nothing. Tests use topics and
// groups of unique names and create topics before use.
func Brokers(t testing.TB) []string {
	t.Helper()
	brokers, err := sharedBrokers()
	if err != nil {
		t.Fatalf("embeddedtest: no brokers: %v", err)
	}
	return slices.Clone(brokers)
}
