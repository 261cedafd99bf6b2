package table //nolint:testpackage // what it tests is not for others

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKey_of_several_columns_is_one_text_and_each_text_one_key(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.StringMatching(`[a,\\]{0,3}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(part, 2, 4).Draw(t, "parts")
		key := JoinKey(parts...)
		if got, ok := splitKey(key, nil); !ok || !slices.Equal(got, parts) {
			t.Fatalf("%q: %q, want %q", key, got, parts)
		}
		text := part.Draw(t, "text")
		if got, ok := splitKey(text, nil); ok && JoinKey(got...) != text {
			t.Fatalf("%q is read as %q", text, got)
		}
	})
}
