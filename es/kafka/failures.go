package kafka

import (
	"log/slog"
	"time"
)

// warnEvery is how often a failure that goes on is logged.
const warnEvery = 10 * time.Second

// failures keeps the log short while the same thing fails again and again.
type failures struct {
	text string
	at   time.Time
}

func (f *failures) warn(log *slog.Logger, err error, message string, args ...any) {
	text := bare(err).Error()
	if text == f.text && time.Since(f.at) < warnEvery {
		return
	}
	f.text, f.at = text, time.Now()
	log.Warn(message, append(args, "error", text)...)
}
