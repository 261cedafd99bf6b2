// Package apply is how events are applied to a build, in one transaction with the books: a
// batch from the log with rows that stay in memory, or work that any source brings, with
// dedup, gaps and offsets. What cannot be applied is found and parked. It does not know where
// events come from.
package apply
