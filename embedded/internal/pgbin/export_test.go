package pgbin

// PinOf is the checksum of the archive of a version for a platform.
func PinOf(major int, platform string) (sum string, ok bool) {
	return pinned("embedded-postgres-binaries-" + platform + "-" + fetchVersion(major) + ".txz")
}

// RepositoryOf is where a finder fetches from.
func RepositoryOf(f Finder) string { return f.repository() }
