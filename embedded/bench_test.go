package embedded_test

import (
	"testing"

	"github.com/asof-dev/asof/embedded"
)

// A start of both parts, where there is data already.
func BenchmarkStart(b *testing.B) {
	c := config(b, newDir(b))
	stop(b, start(b, c)) // makes the data
	for b.Loop() {
		stack, err := embedded.Start(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		stop(b, stack)
		b.StartTimer()
	}
}
