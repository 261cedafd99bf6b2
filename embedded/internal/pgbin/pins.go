package pgbin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// fetchVersion is the version of the archives of a major version, as their publisher
// counts; "" for one that is not fetched. An older one is for tests of upgrades.
func fetchVersion(major int) string {
	return map[int]string{FetchMajor: "18.6.0", OldMajor: "15.19.0"}[major]
}

// ErrChecksum is wrapped when a fetched archive is not the one we pinned.
var ErrChecksum = errors.New("checksum mismatch")

// pinned is the SHA-256 of the archive for a platform, by the file name that
// the fetching library gives it. The other platforms have only the checksum
// that lies beside the archive in the repository, which the library checks.
func pinned(archive string) (sum string, ok bool) {
	const prefix, suffix = "embedded-postgres-binaries-", ".txz"
	sum, ok = map[string]string{
		"linux-amd64-18.6.0":        "63999c2914366d62c68e51794e597588c336e75ed2958d53c558e8deca5e13fc",
		"linux-arm64v8-18.6.0":      "2eb24d67326da41a81064d116b0bce412dff543c835d6fcc1c099e4abcf18836",
		"linux-amd64-alpine-18.6.0": "d9bba3fa653ad08f5e92303587451ed6d1ca4883afb377773630ae853d40121f",
		"darwin-amd64-18.6.0":       "f4db5df0b13e3e72149c0547ccd1eee177cfe67accb8c296e8d0e46ef3601f01",
		"darwin-arm64v8-18.6.0":     "f4db5df0b13e3e72149c0547ccd1eee177cfe67accb8c296e8d0e46ef3601f01",
		"windows-amd64-18.6.0":      "d059b085ea761279769613678af306129b08a190fd16c4f6ef71a124c931af40",

		"linux-amd64-15.19.0":        "335beb3873692297bfa7712f09ef706114c28896e85ee83098f3aafaaa70b24a",
		"linux-arm64v8-15.19.0":      "1459772dc64a36546dcd5a5b2a1e771fc79e7346ed0575afdef39fcea346aeb9",
		"linux-amd64-alpine-15.19.0": "c75b9dd6d91d76d98b90b97cc4389c1a1339c40eeffa69e2b1dbedf58379f649",
		"darwin-amd64-15.19.0":       "af7030facc4f147ffa44af198fa64e84d61a7db20e2fa7a78af19f69059fea3e",
		"darwin-arm64v8-15.19.0":     "af7030facc4f147ffa44af198fa64e84d61a7db20e2fa7a78af19f69059fea3e",
		"windows-amd64-15.19.0":      "12f78e2c0fc9a8bbf32754e34393b5496759b0d4a9e1875ac67191cf5f9720b2",
	}[strings.TrimSuffix(strings.TrimPrefix(archive, prefix), suffix)]
	return sum, ok
}

// verify compares the archive at path with its pin; pinnedHere is false when
// its platform has none.
func verify(path string) (pinnedHere bool, err error) {
	want, ok := pinned(filepath.Base(path))
	if !ok {
		return false, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return true, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return true, err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return true, fmt.Errorf("%w: %s has SHA-256 %s and %s is pinned: it was damaged or tampered with on its way, try again or set ASOF_PG_BIN",
			ErrChecksum, filepath.Base(path), got, want)
	}
	return true, nil
}
