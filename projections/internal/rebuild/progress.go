package rebuild

// Progress is how far a rebuild has got: see Progress in package projections.
type Progress struct {
	Name    string
	Version int
	Phase   string  // "reading", "verifying" or "live"
	Done    int64   // events of the log; with topics alone, messages
	Total   int64   // events in the log when the rebuild began, or a few less: holes count too. Done passes it when more are appended
	Rate    float64 // of Done a second, since this call began
	// Differing counts the rows that the old tables had, lacked or had otherwise, at
	// the same position. It is set in the last report, whose Phase is "live", when Compared.
	Differing int64
	// Compared: the old build was of the same version and DDL, neither paused nor fed from
	// topics alone, and small enough to be compared in time.
	Compared bool
}
