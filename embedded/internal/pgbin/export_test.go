package pgbin

// RepositoryOf is where a finder fetches from.
func RepositoryOf(f Finder) string { return f.repository() }
