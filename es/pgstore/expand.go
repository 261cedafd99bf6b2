package pgstore

import "strings"

// expand puts names in the place of words: pairs of word and name, in order.
func expand(sql string, pairs ...string) string {
	return strings.TrimSpace(strings.NewReplacer(pairs...).Replace(sql))
}
