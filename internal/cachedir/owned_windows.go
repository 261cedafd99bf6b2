package cachedir

// checkOwned has nothing to check: the temporary directory is the user's own.
func checkOwned(string) error { return nil }
