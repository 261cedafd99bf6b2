//go:build !linux

package main

func resetPeak() {}

// peak is unknown.
func peak() int64 { return 0 }
