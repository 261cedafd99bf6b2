package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/sasl"
)

// explain says what a failure of the cluster means and what to do about it.
func (c *Client) explain(ctx context.Context, what string, err error) error {
	if err == nil || own(err) {
		return err
	}
	err = bare(err)
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, kafkago.TopicAuthorizationFailed), errors.Is(err, kafkago.GroupAuthorizationFailed), errors.Is(err, kafkago.ClusterAuthorizationFailed):
		return fmt.Errorf("%w: %s: %w: grant this client the ACL", ErrDenied, what, err)
	case errors.Is(err, kafkago.SASLAuthenticationFailed), errors.Is(err, kafkago.UnsupportedSASLMechanism), errors.Is(err, kafkago.IllegalSASLState):
		return fmt.Errorf("%w: %s: %w: check user, password and mechanism", ErrDenied, what, err)
	case tooLarge(err):
		return fmt.Errorf("%w: %s: %w: raise the topic's max.message.bytes or store large content elsewhere", ErrTooLarge, what, err)
	case invalid(err):
		return fmt.Errorf("%w: %s: %w: the broker does not accept the message: a compacted topic takes none without a key, others none of a time too far away", ErrInvalid, what, err)
	case errors.Is(err, kafkago.InvalidTopic):
		return fmt.Errorf("%w: %s: %w: the broker refuses the topic's name: give one that it takes", ErrInvalid, what, err)
	case refusedSettings(err):
		return fmt.Errorf("%w: %s: %w: the broker does not take these settings, by its policy or its version: change them, or the broker", ErrInvalid, what, err)
	case unknownTopic(err):
		return noTopic(what, err)
	case closedOnUs(err) && c.config.SASL != nil:
		return c.explainLogin(ctx, what, err)
	case closedOnUs(err):
		return c.unreachable(what, err, "it closed the connection: perhaps it expects a login or another TLS setting")
	case errors.As(err, &certificate):
		return c.unreachable(what, err, "trust the authority of its certificate in TLS.RootCAs")
	case network(err):
		return c.unreachable(what, err, "check that they run, and the addresses, ports and TLS setting")
	}
	return fmt.Errorf("kafka: %s: %w", what, err)
}

// refusedSettings reports what no patience cures: not a replication factor, as brokers
// that are away may come back.
func refusedSettings(err error) bool {
	return errors.Is(err, kafkago.PolicyViolation) || errors.Is(err, kafkago.InvalidPartitionNumber) ||
		errors.Is(err, kafkago.InvalidConfiguration) || errors.Is(err, kafkago.UnsupportedVersion)
}

func noTopic(what string, err error) error {
	return fmt.Errorf("%w: %s: %w: create it, with EnsureTopics for example; a topic that this client has no ACL for looks the same", ErrNoTopic, what, err)
}

func (c *Client) unreachable(what string, err error, advice string) error {
	return fmt.Errorf("%w: %s: tried %s: %w: %s", ErrUnreachable, what, c.brokerList(), err, advice)
}

// explainLogin tells a refused login from a broker that went away: both only close
// the connection.
func (c *Client) explainLogin(ctx context.Context, what string, err error) error {
	probe := &loginProbe{Mechanism: c.config.SASL}
	conns := c.conns(dialTimeout)
	conns.SASLMechanism = probe
	for _, broker := range c.config.Brokers {
		conn, dialErr := conns.DialContext(ctx, "tcp", broker)
		if dialErr == nil {
			_ = conn.Close()
			break
		}
		if probe.started && !probe.finished {
			return fmt.Errorf("%w: %s: broker %s closed the connection during the login (%w): check user, password and mechanism", ErrDenied, what, broker, bare(err))
		}
	}
	return c.unreachable(what, err, "it closed the connection: check that it runs, and whether it expects TLS")
}

// loginProbe notes how far a login came.
type loginProbe struct {
	sasl.Mechanism
	started, finished bool
}

func (p *loginProbe) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	machine, first, err := p.Mechanism.Start(ctx)
	p.started = true
	return probedLogin{machine, p}, first, err
}

type probedLogin struct {
	sasl.StateMachine
	probe *loginProbe
}

func (m probedLogin) Next(ctx context.Context, challenge []byte) (bool, []byte, error) {
	done, response, err := m.StateMachine.Next(ctx, challenge)
	m.probe.finished = done && err == nil
	return done, response, err
}

// own reports an error that was explained already.
func own(err error) bool {
	for _, known := range []error{ErrUnreachable, ErrNoTopic, ErrPartitions, ErrTooLarge, ErrDenied, ErrClosed, ErrNotAnEvent, ErrInvalid} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// bare takes away kafka-go's own prefix.
func bare(err error) error {
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "kafka.(*") {
		return bare(inner)
	}
	return err
}

func tooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge) || errors.Is(err, kafkago.InvalidMessageSize)
}

func invalid(err error) bool {
	return errors.Is(err, kafkago.InvalidRecord) || errors.Is(err, kafkago.InvalidTimestamp)
}

func unknownTopic(err error) bool {
	return errors.Is(err, kafkago.UnknownTopicOrPartition) || errors.Is(err, errOtherTopic) ||
		errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
}

func closedOnUs(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func network(err error) bool {
	var netErr net.Error
	var code kafkago.Error // which looks like a net.Error
	return errors.As(err, &netErr) && !errors.As(err, &code) || closedOnUs(err) || errors.Is(err, errLeftOut) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kafkago.BrokerNotAvailable) || errors.Is(err, io.ErrClosedPipe)
}

// denied reports what no patience cures.
func denied(err error) bool {
	for _, code := range []kafkago.Error{
		kafkago.TopicAuthorizationFailed, kafkago.GroupAuthorizationFailed, kafkago.ClusterAuthorizationFailed,
		kafkago.SASLAuthenticationFailed, kafkago.UnsupportedSASLMechanism, kafkago.IllegalSASLState,
		kafkago.InvalidTopic, kafkago.UnsupportedVersion, kafkago.PolicyViolation,
		kafkago.InvalidRequiredAcks, kafkago.UnsupportedForMessageFormat,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return errors.Is(err, ErrDenied)
}
