package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/internal/wait"
)

const (
	// requestTimeout bounds a request that nothing else bounds. Brokers get half of
	// it to gather acknowledgements.
	requestTimeout = 20 * time.Second
	dialTimeout    = 2 * time.Second
	// metadataTTL is how old the known leaders may be.
	metadataTTL = 500 * time.Millisecond
	// pingTimeout and pingTries bound Ping.
	pingTimeout = 5 * time.Second
	pingTries   = 3
)

// Client is a connection to a cluster, safe for concurrent use.
type Client struct {
	config    Config
	log       *slog.Logger
	dialer    *dialer
	transport *kafkago.Transport
	api       *kafkago.Client
	closed    atomic.Bool
}

// New returns a client. It asks nothing of the network: see [Client.Ping]. The
// caller closes it.
func New(c Config) (*Client, error) { return newClient(c, (&net.Dialer{}).DialContext) }

func newClient(c Config, dial dialFunc) (*Client, error) {
	if len(c.Brokers) == 0 {
		return nil, fmt.Errorf("%w: no brokers: give at least one as host:port", ErrInvalid)
	}
	for _, broker := range c.Brokers {
		if host, port, err := net.SplitHostPort(broker); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%w: broker %q: write it as host:port", ErrInvalid, broker)
		}
	}
	c.Brokers = slices.Clone(c.Brokers)
	if c.ClientID == "" {
		c.ClientID = "asof"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	client := &Client{config: c, log: c.Logger, dialer: newDialer(dial, c.Brokers)}
	client.transport = &kafkago.Transport{
		Dial: client.dialer.patient(dialTimeout, 0), DialTimeout: dialTimeout, MetadataTTL: metadataTTL,
		ClientID: c.ClientID, TLS: c.TLS, SASL: c.SASL,
	}
	client.api = &kafkago.Client{Addr: kafkago.TCP(c.Brokers...), Timeout: requestTimeout, Transport: client.transport}
	return client, nil
}

// Ping asks the cluster for an answer. Its errors say what to do: [ErrUnreachable]
// and [ErrDenied].
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	var err error
	for range pingTries { // a connection that stood idle may turn out to be dead
		if err = c.open(); err != nil {
			return err
		}
		if _, err = c.api.ApiVersions(ctx, &kafkago.ApiVersionsRequest{}); err == nil {
			// A broker answers that without a login. What was heard last says the rest.
			if _, err = c.metadata(ctx, "-"); err == nil {
				return nil
			}
		}
		if wait.For(ctx, 50*time.Millisecond) != nil {
			break
		}
	}
	return c.explain(ctx, "ask the brokers", err)
}

// Close closes the client's connections. Close producers and end Consume first. A
// second call does nothing.
func (c *Client) Close() error {
	if !c.closed.Swap(true) {
		c.transport.CloseIdleConnections()
	}
	return nil
}

func (c *Client) open() error {
	if c.closed.Load() {
		return fmt.Errorf("%w: the client was closed before", ErrClosed)
	}
	return nil
}

// conns makes connections of kafka-go's older kind, which groups and fetches use. A
// connection that is silent for so long is given up, before its first answer sooner.
func (c *Client) conns(silent time.Duration) *kafkago.Dialer {
	return &kafkago.Dialer{
		ClientID: c.config.ClientID, Timeout: dialTimeout, DialFunc: c.dialer.patient(dialTimeout, silent),
		TLS: c.config.TLS, SASLMechanism: c.config.SASL,
	}
}

// metadata returns what the brokers said about the topics not long ago.
func (c *Client) metadata(ctx context.Context, topics ...string) (*kafkago.MetadataResponse, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	return c.api.Metadata(ctx, &kafkago.MetadataRequest{Topics: topics})
}

// leader returns the broker that leads a partition.
func (c *Client) leader(ctx context.Context, topic string, partition int) (kafkago.Broker, error) {
	found, err := c.metadata(ctx, topic)
	if err != nil {
		return kafkago.Broker{}, err
	}
	for _, t := range found.Topics {
		for _, p := range t.Partitions {
			if p.ID == partition && p.Leader.Host != "" {
				return p.Leader, nil
			}
		}
		if t.Error != nil {
			return kafkago.Broker{}, t.Error
		}
	}
	return kafkago.Broker{}, kafkago.LeaderNotAvailable
}

func (c *Client) brokerList() string { return strings.Join(c.config.Brokers, ", ") }
