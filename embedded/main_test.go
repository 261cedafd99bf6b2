package embedded_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the program that tests start and kill: see child_test.go.
func TestMain(m *testing.M) {
	if task := os.Getenv(taskVariable); task != "" {
		os.Exit(runTask(task))
	}
	goleak.VerifyTestMain(m)
}
