package command

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"
)

// Names of the flags that every command has.
const (
	flagDatabaseURL = "database-url"
	flagBrokers     = "brokers"
	flagOutput      = "output"
	flagLogLevel    = "log-level"

	outputText = "text"
	outputJSON = "json"
)

// settings are what the environment and the flags say; the flags win.
type settings struct {
	DatabaseURL string   `env:"DATABASE_URL"`
	Brokers     []string `env:"KAFKA_BROKERS"`
	LogLevel    string   `env:"LOG_LEVEL"`

	json        bool
	environment map[string]string
}

// addFlags gives a root command the flags. None shows a value of the environment as
// its default: that might be a password.
func addFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.String(flagDatabaseURL, "", "address of the service's database; others can see arguments, so rather set DATABASE_URL")
	flags.StringSlice(flagBrokers, nil, "host:port of Kafka brokers, separated by commas (KAFKA_BROKERS)")
	flags.StringP(flagOutput, "o", outputText, "text or json")
	flags.String(flagLogLevel, "", "debug, info, warn or error (LOG_LEVEL); default info for what runs until it is stopped, else warn")
}

func readSettings(cmd *cobra.Command) (settings, error) {
	s := settings{environment: callOf(cmd).env}
	if err := env.ParseWithOptions(&s, env.Options{Environment: s.environment}); err != nil {
		return s, usage("read the environment: %w", err)
	}
	flags := cmd.Flags()
	if flags.Changed(flagDatabaseURL) {
		s.DatabaseURL, _ = flags.GetString(flagDatabaseURL)
	}
	if flags.Changed(flagBrokers) {
		s.Brokers, _ = flags.GetStringSlice(flagBrokers)
	}
	if flags.Changed(flagLogLevel) {
		s.LogLevel, _ = flags.GetString(flagLogLevel)
	}
	output, err := flags.GetString(flagOutput)
	if err != nil {
		return s, fmt.Errorf("command: %s is not below a command that command.New made: %w", cmd.CommandPath(), err)
	}
	if output != outputText && output != outputJSON {
		return s, usage("--output %q: give text or json", output)
	}
	s.json = output == outputJSON
	return s, s.checkBrokers()
}

func (s *settings) checkBrokers() error {
	list := s.Brokers[:0]
	for _, broker := range s.Brokers {
		broker = strings.TrimSpace(broker)
		if broker == "" {
			continue
		}
		if host, port, ok := strings.Cut(broker, ":"); !ok || host == "" || port == "" || strings.Contains(broker, "/") {
			return usage("broker %q: give host:port (--brokers or KAFKA_BROKERS)", broker)
		}
		list = append(list, broker)
	}
	s.Brokers = list
	return nil
}

// level is how much is logged, unless told: lasting is for what runs until it is
// stopped.
func (s *settings) level(lasting bool) (slog.Level, error) {
	level := slog.LevelWarn
	if lasting {
		level = slog.LevelInfo
	}
	if s.LogLevel == "" {
		return level, nil
	}
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return level, usage("log level %q: give debug, info, warn or error (--log-level or LOG_LEVEL)", s.LogLevel)
	}
	return level, nil
}

// reasonOf is why an address does not parse, without the address: pgx quotes it, and
// what it knows of passwords in it is not enough. Nothing is said of an address that
// is too broken to find the password in it.
func reasonOf(err error, address string) string {
	u, broken := url.Parse(address)
	if broken != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return ""
	}
	text := err.Error()
	const quoteEnds = "`: "
	i := strings.LastIndex(text, quoteEnds)
	if i < 0 {
		return ""
	}
	text = text[i+len(quoteEnds):]
	secrets := []string{u.Query().Get("password"), u.Query().Get("sslpassword")}
	if u.User != nil {
		plain, _ := u.User.Password()
		_, raw, _ := strings.Cut(u.User.String(), ":")
		secrets = append(secrets, plain, raw)
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	return ": " + text
}
