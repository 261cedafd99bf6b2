//go:build !race

package projections_test

const underRace = false
