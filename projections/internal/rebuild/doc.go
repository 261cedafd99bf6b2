// Package rebuild makes a build beside the live one and puts it in its place: it claims the
// build, fills it from the log or from topics, compares what was applied with the log, and
// switches the schemas. Rollback and rewind are rebuilds too.
package rebuild
