//go:build race

package projections_test

// underRace: the race detector looks on, with which all takes four times as long. It sees
// what it has to in fewer rounds.
const underRace = true
