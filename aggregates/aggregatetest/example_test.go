package aggregatetest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/asof-dev/asof/aggregates/aggregatetest"
)

// printed is a test that prints its failures; in a test of your own it is t.
type printed struct{ testing.TB }

func (printed) Helper()                         {}
func (printed) Context() context.Context        { return context.Background() }
func (printed) Cleanup(func())                  {}
func (printed) Errorf(text string, args ...any) { fmt.Printf(text+"\n", args...) }
func (p printed) Fatalf(text string, a ...any)  { p.Errorf(text, a...) }
func (p printed) Error(args ...any)             { fmt.Println(args...) }

func ExampleScenario() {
	t := printed{}
	nine := aggregatetest.For(t, decider()).Given(Added{"pen", 5}, Added{"pen", 4})

	nine.When(add("ink", 1)).Then(Added{"ink", 1}).ThenState(Cart{map[string]int{"pen": 9, "ink": 1}})
	nine.When(add("pen", 1)).Fails(errFull)
	nine.When(add("pen", 1)).Then(Added{"pen", 1}) // does not hold

	// Output:
	// aggregatetest: the decision failed: cart: full
}
