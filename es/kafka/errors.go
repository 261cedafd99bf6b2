package kafka

import "errors"

var (
	// ErrUnreachable: no broker answered. The text says what was tried.
	ErrUnreachable = errors.New("kafka: no broker can be reached")
	// ErrNoTopic: the topic does not exist, or this client may not see it.
	ErrNoTopic = errors.New("kafka: no such topic")
	// ErrPartitions: the topic has another number of partitions than stated.
	ErrPartitions = errors.New("kafka: topic has another number of partitions")
	// ErrTooLarge: a message is larger than the broker accepts.
	ErrTooLarge = errors.New("kafka: message is too large")
	// ErrDenied: the login failed or an ACL refuses the operation.
	ErrDenied = errors.New("kafka: not allowed")
	// ErrClosed: the client, producer or subscriber was closed.
	ErrClosed = errors.New("kafka: closed")
	// ErrNotAnEvent: the message does not carry a CloudEvent that Asof published.
	ErrNotAnEvent = errors.New("kafka: not an event")
	// ErrGone: the messages are not kept any more, by the topic's retention or with what a
	// broker has lost.
	ErrGone = errors.New("kafka: the messages are not kept any more")
	// ErrBehind: the messages were not sent, since some that were given before them to their
	// [Flow] could not be published.
	ErrBehind = errors.New("kafka: what came before could not be published")
	// ErrInvalid: a configuration or an argument does not fit. The text says which.
	ErrInvalid = errors.New("kafka: invalid")
)
