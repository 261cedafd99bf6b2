package pg

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ParsePool is pgxpool.ParseConfig for an address that may hold a password: no error,
// neither its own nor a later one of connecting, shows any part of it. What pgx would
// take for something else than was meant is refused, with what to write instead.
func ParsePool(address string) (*pgxpool.Config, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, addressError(err)
	}
	return config, nil
}

// ParseConn is pgx.ParseConfig in the same way.
func ParseConn(address string) (*pgx.ConnConfig, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, addressError(err)
	}
	return config, nil
}

// WithDatabase is address with another database, in both forms that PostgreSQL's
// clients take: postgres://… and "host=… dbname=…".
func WithDatabase(address, name string) (string, error) {
	if name == "" {
		return "", errors.New("a database needs a name")
	}
	if err := checkAddress(address); err != nil {
		return "", err
	}
	a, isURL := splitURL(address)
	if !isURL {
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name)
		return strings.TrimSpace(address + fmt.Sprintf(" dbname='%s'", quoted)), nil // the last one counts
	}
	a.database = strings.ReplaceAll(url.QueryEscape(name), "+", "%20") // PathEscape would leave the @
	a.query = withoutDatabase(a.query)
	return a.String(), nil
}

// withoutDatabase drops what would win over the database of the path.
func withoutDatabase(query string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(strings.TrimSpace(key))
		if pair != "" && (err != nil || plain != "dbname" && plain != "database") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// parts of a URL, not decoded, parted where pgx parts it: package net/url takes
// neither several hosts nor every password that pgx takes.
type parts struct{ scheme, user, hosts, database, query string }

// splitURL reports false for an address of words and values.
func splitURL(address string) (p parts, isURL bool) {
	for _, p.scheme = range []string{"postgres://", "postgresql://"} {
		rest, found := strings.CutPrefix(address, p.scheme)
		if !found {
			continue
		}
		if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
			p.user, rest = rest[:i+1], rest[i+1:]
		}
		rest, p.query, _ = strings.Cut(rest, "?")
		p.hosts, p.database, _ = strings.Cut(rest, "/")
		return p, true
	}
	return parts{}, false
}

func (p parts) String() string {
	text := p.scheme + p.user + p.hosts + "/" + p.database
	if p.query != "" {
		text += "?" + p.query
	}
	return text
}

const (
	howToEscape = "in the user and the password of a URL write @ as %40, / as %2F, ? as %3F, # as %23, % as %25 and a space as %20"
	howToQuote  = `in an address of words and values write a value with spaces, quotes or backslashes as 'value', with \' and \\ inside`
	howToBegin  = "give postgres://user:password@host:port/database"
)

// checkAddress refuses what pgx reads otherwise than it was meant, because a part of
// the password then stands where errors show it: as the host's name, the database's or
// that of a setting.
func checkAddress(address string) error {
	p, isURL := splitURL(address)
	if !isURL {
		return checkWords(address)
	}
	if strings.Contains(p.hosts+p.database+p.query, "@") {
		return fmt.Errorf("the database's address has an @ that is not the one between password and host: %s", howToEscape)
	}
	for _, part := range []string{p.user, p.hosts, p.database, p.query} {
		if _, err := url.PathUnescape(part); err != nil || strings.Contains(strings.TrimSpace(part), " ") {
			return fmt.Errorf("the database's address has a %% without two hexadecimal digits, or a space: %s", howToEscape)
		}
	}
	for pair := range strings.SplitSeq(p.query, "&") {
		key, _, hasValue := strings.Cut(pair, "=")
		plain, _ := url.PathUnescape(key) // which was seen to work
		if p.query != "" && (!hasValue || !settingName.MatchString(plain)) {
			return errors.New("the part of the database's address after its ? is not of the form name=value&name=value: in a value write & as %26, = as %3D and @ as %40")
		}
	}
	return nil
}

// settingName is what clients and servers call their settings.
var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.$]*$`)

// checkWords walks word = value as pgx does, and looks at the words.
func checkWords(address string) error {
	malformed := fmt.Errorf("the database's address is neither a URL nor words and values: %s; %s", howToBegin, howToQuote)
	const space = " \t\n\r\v\f"
	rest := strings.Trim(address, space)
	for rest != "" {
		word, value, found := strings.Cut(rest, "=")
		if !found || !settingName.MatchString(strings.Trim(word, space)) {
			return malformed
		}
		end, ok := valueEnd(strings.TrimLeft(value, space))
		if !ok {
			return malformed
		}
		rest = strings.TrimLeft(end, space)
	}
	return nil
}

// valueEnd is what comes after the value that text begins with.
func valueEnd(text string) (rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case quoted && c == '\'':
			rest = text[i+1:]
			// Another value right behind a quote is how an unescaped quote looks.
			return rest, rest == "" || strings.ContainsAny(rest[:1], " \t\n\r\v\f")
		case !quoted && strings.ContainsRune(" \t\n\r\v\f", rune(c)):
			return text[i:], true
		}
	}
	return "", !quoted
}

// knownReason is what pgx says of a setting by name, without its value.
var knownReason = regexp.MustCompile("`: ((?:could not match [0-9]+ port numbers to [0-9]+ hosts|failed to (?:read service|configure TLS)|pool_max_conns too small|" +
	"invalid port|(?:cannot parse|invalid|unknown) (?:[a-z]+_[a-z_]+|sslcertmode)|min_protocol_version cannot be greater than max_protocol_version))")

// addressError is an error of pgx, which quotes the address with parts of the password
// where it does not understand it. It is not wrapped: it holds the whole address.
func addressError(err error) error {
	found := knownReason.FindStringSubmatch(err.Error())
	if found == nil {
		return fmt.Errorf("the database's address does not parse: %s; %s; %s", howToBegin, howToEscape, howToQuote)
	}
	reason := found[1]
	switch reason {
	case "invalid port":
		reason += ": give host:port with a number; " + howToEscape
	case "failed to read service", "failed to configure TLS":
		if inner := errors.Unwrap(err); inner != nil { // names a file or a service
			reason += ": " + inner.Error()
		}
	}
	return fmt.Errorf("the database's address, or a variable PG… of the environment: %s", reason)
}
