package memstore_test

import (
	"testing"

	"github.com/asof-dev/asof/es/memstore"
	"github.com/asof-dev/asof/es/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Subject {
		store := memstore.New()
		return storetest.Subject{Store: store, Log: store}
	})
}
