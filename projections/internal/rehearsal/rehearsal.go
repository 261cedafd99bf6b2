// Package rehearsal is what projections and projectiontest say to each other.
package rehearsal

import "github.com/asof-dev/asof/es"

// Batch is what one transaction of a rehearsal applies.
type Batch struct {
	Events []es.RecordedEvent // in order within each stream, or applied before
	Crash  bool               // it is rolled back once and applied again
}
