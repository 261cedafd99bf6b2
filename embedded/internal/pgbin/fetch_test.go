package pgbin_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

// A repository that gives another archive, with a checksum that fits it.
func TestTampered_archive_is_refused(t *testing.T) {
	t.Parallel()
	repository := serve(t, archive(t), true)
	cache := t.TempDir()
	finder := pgbin.Finder{Cache: cache, Repository: repository, System: []string{programs(t, "17.2")}}
	_, err := finder.Find(t.Context())
	if !errors.Is(err, pgbin.ErrChecksum) {
		t.Fatalf("got %v, not a checksum mismatch", err)
	}
	if !strings.Contains(err.Error(), "ASOF_PG_BIN") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	wantOnlyLock(t, cache)
}

// A repository whose archive does not fit its own checksum: as if there were
// none.
func TestDamaged_archive_is_not_used(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	finder := pgbin.Finder{Cache: cache, Repository: serve(t, archive(t), false)}
	_, err := finder.Find(t.Context())
	if err == nil || !strings.Contains(err.Error(), "checksums do not match") {
		t.Fatalf("got %v", err)
	}
	wantOnlyLock(t, cache)
}

func TestRepository_without_the_archive_is_an_error(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, err := pgbin.Finder{Cache: t.TempDir(), Repository: server.URL}.Find(t.Context())
	if err == nil || !strings.Contains(err.Error(), "go online once") {
		t.Fatalf("got %v", err)
	}
}

// archive is a jar as the repository has it, with something else inside.
func archive(t *testing.T) []byte {
	t.Helper()
	var jar bytes.Buffer
	writer := zip.NewWriter(&jar)
	entry, err := writer.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write([]byte("not PostgreSQL")); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return jar.Bytes()
}

// serve is a repository that has jar at every address, and beside it its
// checksum or a wrong one.
func serve(t *testing.T, jar []byte, right bool) (address string) {
	t.Helper()
	sum := sha256.Sum256(jar)
	if !right {
		sum[0]++
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
			return
		}
		_, _ = w.Write(jar)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// wantOnlyLock wants that nothing of the archive is left.
func wantOnlyLock(t *testing.T, cache string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if filepath.Base(path) != "lock" {
			t.Errorf("%s is left", path)
		}
	}
	if _, err := os.Stat(cache); err != nil {
		t.Error(err)
	}
}
