package storetest

import (
	"testing"

	"github.com/asof-dev/asof/es"
)

// Subject is a store to be tested.
type Subject struct {
	// Store must be empty.
	Store es.Store
	// Log reads the events of Store, most often the same value. A store without a
	// log leaves it nil, and what concerns the log is not tested.
	Log es.Log
}

// Run runs every test of the contract, in parallel. It calls open once for each; the
// stores must not share events.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Helper()
	run := func(name string, test func(*world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subject := open(t)
			test(&world{T: t, store: subject.Store, log: subject.Log})
		})
	}
	for name, test := range storeTests() {
		run(name, test)
	}
	logged := func(test func(*world)) func(*world) {
		return func(w *world) {
			if w.log != nil {
				test(w)
			}
		}
	}
	for name, test := range logTests() {
		run(name, logged(test))
	}
}

func storeTests() map[string]func(*world) {
	return map[string]func(*world){
		"append/recorded":              appendRecords,
		"append/metadata":              appendKeepsMetadata,
		"append/payloads":              appendKeepsPayloads,
		"append/batch is atomic":       batchIsAtomic,
		"append/nothing is shared":     nothingIsShared,
		"append/cancelled":             cancelled,
		"append/contracts":             contractsAreKept,
		"expected/versions":            expectedVersions,
		"expected/exactly, concurrent": exactlyConcurrent,
		"expected/any, concurrent":     anyConcurrent,
		"expected/none, concurrent":    noneConcurrent,
		"expected/exists, concurrent":  existsConcurrent,
		"ids/again":                    sameIDsAgain,
		"ids/again, concurrent":        sameIDsConcurrent,
		"ids/other use":                idsUsedOtherwise,
		"ids/other body":               sameIDsOtherBody,
		"limits/names":                 nameLimits,
		"limits/payload":               payloadLimits,
		"limits/metadata":              metadataLimits,
		"limits/batch":                 batchLimits,
		"limits/rest":                  otherLimits,
		"stream/missing":               missingStream,
		"stream/from":                  readFrom,
		"stream/pages":                 readPages,
		"stream/early end":             readEndsEarly,
		"stream/names":                 streamsAreApart,
		"stream/colliding categories":  collidingCategories,
		"settle/moments":               settleMoments,
		"settle/positions":             settlePositions,
	}
}

func logTests() map[string]func(*world) {
	return map[string]func(*world){
		"log/order":         logOrder,
		"log/pages":         logPages,
		"log/follow":        logFollows,
		"log/equals stream": logEqualsStreams,
		"log/bad reads":     logRefuses,
	}
}
