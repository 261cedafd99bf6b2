package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// Config says where a registry is and who asks it. Printed or logged, it shows no secret.
type Config struct {
	// URLs of the registry's API, https://registry.example.com or with a path
	// (…/apis/ccompat/v7). When the first does not answer the next is asked.
	URLs []string
	// Token is sent as Authorization: Bearer. Leave it empty, or User and Password.
	Token string
	// User and Password are sent as basic authentication.
	User, Password string
	// TLS is for what the system does not have: an own authority, a client's certificate.
	TLS *tls.Config
	// Timeout of a call to one of the URLs, with what is tried again: 10 seconds by default.
	Timeout time.Duration
}

// Format writes the configuration without its secrets, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "registry.Config{URLs: %d, login: %t}", len(c.URLs), c.Token+c.User+c.Password != "")
}

// MarshalText is the configuration without its secrets, also in JSON and in logs.
func (c Config) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(c)), nil }

const defaultTimeout = 10 * time.Second

// validate names an URL by its number: somebody may have put a password into it.
func (c Config) validate() error {
	if len(c.URLs) == 0 {
		return errors.New("registry: there is no URL: give one, such as https://registry.example.com")
	}
	for i, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("registry: URL %d is none: give http or https, a host and maybe a path, and nothing else", i+1)
		}
		if u.User != nil {
			return fmt.Errorf("registry: URL %d has a login in it, which would be shown: give User and Password", i+1)
		}
	}
	if c.Token != "" && c.User+c.Password != "" {
		return errors.New("registry: there are a token and a password: give one of them")
	}
	if c.User == "" && c.Password != "" {
		return errors.New("registry: there is a password and no user: give both")
	}
	if c.Timeout < 0 {
		return fmt.Errorf("registry: timeout %s: give a positive one, or none for %s", c.Timeout, defaultTimeout)
	}
	return nil
}

// options are those of the library.
func (c Config) options(transport http.RoundTripper) []sr.ClientOpt {
	options := []sr.ClientOpt{sr.URLs(slices.Clone(c.URLs)...), sr.UserAgent("asof"), sr.HTTPClient(c.http(transport))}
	if c.Token != "" {
		options = append(options, sr.BearerToken(c.Token))
	}
	if c.User != "" {
		options = append(options, sr.BasicAuth(c.User, c.Password))
	}
	return options
}

func (c Config) transport() *http.Transport {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: c.timeout(), IdleConnTimeout: time.Minute}
	if c.TLS != nil {
		transport.TLSClientConfig = c.TLS.Clone()
	}
	return transport
}

// http is a client that follows no redirection: it would carry the login elsewhere, maybe in
// clear text.
func (c Config) http(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     patient{transport},
		Timeout:       c.timeout(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return defaultTimeout
	}
	return c.Timeout
}

// cleaner takes the secrets out of a text, where a server or a proxy has repeated them.
func (c Config) cleaner() func(string) string {
	var pairs []string
	for _, secret := range []string{c.Token, c.Password, basic(c.User, c.Password)} {
		if secret != "" {
			pairs = append(pairs, secret, "xxxxx")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
