// Package estest has tests that every service wants of its events.
//
// [Golden] keeps a payload of every event type, in every schema version that was ever
// written, in files that are committed beside the code, and fails when the code reads one
// differently than before.
package estest
