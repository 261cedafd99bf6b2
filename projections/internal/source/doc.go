// Package source is where a live build gets its events from: the log, Kafka beside the log, or
// topics alone. Each gives what it reads to package apply.
package source
