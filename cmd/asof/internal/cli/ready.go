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
// password of the stack, which is there to be used.
type readyView struct {
	DatabaseURL string            `json:"database_url"` // of the maintenance database, as superuser
	Databases   map[string]string `json:"databases"`    // of the services, by name
	Brokers     []string          `json:"brokers"`
}

// WriteText writes lines to copy into a shell.
func (v readyView) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, err := fmt.Fprintf(t, "Postgres and Kafka are up. Ctrl-C stops them; their data stays.\n\nall\texport KAFKA_BROKERS=%s\n", strings.Join(v.Brokers, ","))
	for _, name := range slices.Sorted(maps.Keys(v.Databases)) {
		if err == nil {
			_, err = fmt.Fprintf(t, "%s\texport DATABASE_URL='%s'\n", name, v.Databases[name])
		}
	}
	if err == nil && len(v.Databases) == 0 {
		_, err = fmt.Fprintf(t, "database\texport DATABASE_URL='%s'\n", v.DatabaseURL)
	}
	if err != nil {
		return err
	}
	return t.Flush()
}
