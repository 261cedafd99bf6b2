package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/asof-dev/asof/es"
)

// Query is the part of a URL after the question mark.
type Query struct{ values url.Values }

// ReadQuery reads the query and refuses names other than the allowed ones, and names
// that are given twice.
func ReadQuery(r *http.Request, allowed ...string) (Query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Query{}, NewProblem(http.StatusBadRequest, "query", "the query is malformed: "+err.Error())
	}
	for name, given := range values {
		if !slices.Contains(allowed, name) {
			return Query{}, NewProblem(http.StatusBadRequest, "query", fmt.Sprintf("unknown parameter %.40q: use %s", name, strings.Join(allowed, ", ")))
		}
		if len(given) > 1 {
			return Query{}, NewProblem(http.StatusBadRequest, "query", fmt.Sprintf("%s is given %d times: give it once", name, len(given)))
		}
		if !utf8.ValidString(given[0]) || strings.ContainsRune(given[0], 0) {
			return Query{}, NewProblem(http.StatusBadRequest, "query", name+" must be UTF-8 without zero bytes")
		}
	}
	return Query{values}, nil
}

// Text returns a value; empty when it is not given.
func (q Query) Text(name string) string { return q.values.Get(name) }

// Number returns a whole number of at least least, and whether it is given.
func (q Query) Number(name string, least, most int64) (int64, bool, error) {
	text := q.values.Get(name)
	if !q.values.Has(name) {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, false, NewProblem(http.StatusBadRequest, "query", fmt.Sprintf("%s=%.40q: give a whole number from %d to %d", name, text, least, most))
	}
	return n, true, nil
}

// asOf returns the moment that at (RFC 3339), version or position name, and whether
// one of them is given.
func (q Query) asOf() (es.AsOf, bool, error) {
	var moment es.AsOf
	given := 0
	if q.values.Has("at") {
		at, err := time.Parse(time.RFC3339Nano, q.Text("at"))
		if err != nil {
			return moment, false, NewProblem(http.StatusBadRequest, "query", fmt.Sprintf("at=%.40q: give a time such as 2006-01-02T15:04:05.123456Z (a + is written %%2B)", q.Text("at")))
		}
		moment = es.AtTime(at)
		given++
	}
	version, ok, err := q.Number("version", 1, 1<<53)
	if err != nil {
		return moment, false, err
	}
	if ok {
		moment = es.AtVersion(es.Version(version))
		given++
	}
	position, ok, err := q.Number("position", 1, 1<<53)
	if err != nil {
		return moment, false, err
	}
	if ok {
		moment = es.AtPosition(es.Position(position))
		given++
	}
	if given > 1 {
		return moment, false, NewProblem(http.StatusBadRequest, "query", "give one of at, version and position")
	}
	return moment, given == 1, nil
}
