package schema_test

import (
	"testing"

	"github.com/asof-dev/asof/es/schema"
)

func TestPlace_is_a_path_as_people_write_it(t *testing.T) {
	t.Parallel()
	var root *schema.Place
	lines := root.Below("lines")
	for want, place := range map[string]*schema.Place{
		"": root, "lines": lines, "lines[].price": lines.Below("[]").Below("price"), "lines{}.a.b": lines.Below("{}").Below("a").Below("b"),
	} {
		if got := place.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
