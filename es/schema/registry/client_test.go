package registry_test

import (
	"testing"

	"github.com/asof-dev/asof/es/schema/registry"
)

func newClient(t *testing.T, c registry.Config) *registry.Client {
	t.Helper()
	client, err := registry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
