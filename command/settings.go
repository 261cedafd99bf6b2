package command

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
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
	DatabaseURL string `env:"DATABASE_URL"`
	Brokers     string `env:"KAFKA_BROKERS"`
	LogLevel    string `env:"LOG_LEVEL"`

	json        bool
	brokers     []string
	environment map[string]string
}

// addFlags gives a root command the flags. None shows a value of the environment as
// its default: that might be a password.
func addFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.String(flagDatabaseURL, "", "address of the service's database; others can see arguments, so rather set DATABASE_URL")
	flags.StringArray(flagBrokers, nil, "host:port of Kafka brokers, separated by commas (KAFKA_BROKERS)")
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
		list, _ := flags.GetStringArray(flagBrokers)
		s.Brokers = strings.Join(list, ",")
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
	s.brokers, err = readBrokers(s.Brokers)
	return s, err
}

// readBrokers reads a list of host:port. What is wrong with one is said by its number:
// somebody may have put a login into it.
func readBrokers(text string) ([]string, error) {
	var list []string
	for i, broker := range strings.Split(text, ",") {
		broker = strings.TrimSpace(broker)
		if broker == "" {
			continue
		}
		host, port, err := net.SplitHostPort(broker)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, "@/ ") {
			return nil, usage("broker %d of --brokers or KAFKA_BROKERS is not host:port: give nothing else, such as a scheme or a login, and separate brokers by commas", i+1)
		}
		list = append(list, broker)
	}
	return list, nil
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
