// Package replay applies the log to tables that vanish with their transaction: for reads as of
// a moment, and for rehearsals of package projectiontest. It has no books.
package replay
