package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// readyView is what `asof dev` prints when all is ready. The addresses hold the
// password of the stack, which is there to be used; the text does not repeat one that
// was given.
type readyView struct {
	DatabaseURL string            `json:"database_url"` // of the maintenance database, as superuser; or the given one
	Databases   map[string]string `json:"databases"`    // of the services, by name
	Brokers     []string          `json:"brokers"`

	givenPostgres, givenKafka bool
}

// WriteText writes lines to copy into a shell.
func (v readyView) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, err := fmt.Fprintf(t, "%s\n\nall\texport KAFKA_BROKERS=%s\n", v.headline(), shellQuote(strings.Join(v.Brokers, ",")))
	for _, name := range slices.Sorted(maps.Keys(v.Databases)) {
		if err == nil {
			_, err = fmt.Fprintf(t, "%s\texport DATABASE_URL=%s\n", name, shellQuote(v.Databases[name]))
		}
	}
	if err == nil && len(v.Databases) == 0 && !v.givenPostgres {
		_, err = fmt.Fprintf(t, "database\texport DATABASE_URL=%s\n", shellQuote(v.DatabaseURL))
	}
	if err != nil {
		return err
	}
	return t.Flush()
}

func (v readyView) headline() string {
	switch {
	case v.givenPostgres && v.givenKafka:
		return "The Postgres of DATABASE_URL and the Kafka of KAFKA_BROKERS answer. Nothing was started; Ctrl-C ends this."
	case v.givenPostgres:
		return "Kafka is up, and the Postgres of DATABASE_URL answers. Ctrl-C stops Kafka; its data stays."
	case v.givenKafka:
		return "Postgres is up, and the Kafka of KAFKA_BROKERS answers. Ctrl-C stops Postgres; its data stays."
	}
	return "Postgres and Kafka are up. Ctrl-C stops them; their data stays."
}

// shellQuote writes a text as one word of a shell.
func shellQuote(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":,._-", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
