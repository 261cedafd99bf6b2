package pgbin_test

import (
	"net/url"
	"testing"

	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

// A newer library may keep its default elsewhere: then this fails, and not the fetch
// of somebody who begins.
func TestRepository_by_default_is_the_library_s(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(pgbin.RepositoryOf(pgbin.Finder{}))
	if err != nil || address.Scheme != "https" || address.Host == "" {
		t.Errorf("%v, %v", address, err)
	}
	if got := pgbin.RepositoryOf(pgbin.Finder{Repository: "http://127.0.0.1:1/x"}); got != "http://127.0.0.1:1/x" {
		t.Errorf("the given repository became %q", got)
	}
}
