package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// largestAnswer is more than any broker sends: a length beyond it is none.
const largestAnswer = 1 << 30

var errNotKafka = errors.New("the answer is not one of a Kafka broker")

// wire speaks to one broker in versions of the protocol that kafka-go does not know:
// those that name a topic by its id, without which a topic that was made again cannot
// be told from the one before. kmsg has what the protocol's messages look like.
type wire struct {
	rw       io.ReadWriter
	format   *kmsg.RequestFormatter
	id       int32
	versions map[int16]int16 // the highest that the broker knows, by kind of request
}

func newWire(rw io.ReadWriter, clientID string) *wire {
	return &wire{rw: rw, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))}
}

// most returns the version to use: the highest that both know.
func (w *wire) most(key, known int16) (int16, error) {
	if w.versions == nil {
		answer, err := as[*kmsg.ApiVersionsResponse](w.ask(kmsg.NewPtrApiVersionsRequest()))
		if err != nil {
			return 0, err
		}
		w.versions = make(map[int16]int16)
		for _, k := range answer.ApiKeys {
			w.versions[k.ApiKey] = k.MaxVersion
		}
	}
	return min(known, w.versions[key]), nil
}

// ask sends a request and returns the answer, whose body belongs to nobody else.
func (w *wire) ask(request kmsg.Request) (kmsg.Response, error) {
	w.id++
	if _, err := w.rw.Write(w.format.AppendRequest(nil, request, w.id)); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(w.rw, head[:]); err != nil {
		return nil, err
	}
	size, id := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
	if size < 4 || size > largestAnswer || int32(id) != w.id {
		return nil, fmt.Errorf("%w: %d bytes to request %d after request %d", errNotKafka, size, id, w.id)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(w.rw, body); err != nil {
		return nil, err
	}
	answer := request.ResponseKind()
	if answer.IsFlexible() && answer.Key() != int16(protocol.ApiVersions) {
		if len(body) == 0 || body[0] != 0 { // tags of the header, of which there are none yet
			return nil, fmt.Errorf("%w: it has an unknown header", errNotKafka)
		}
		body = body[1:]
	}
	if err := answer.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotKafka, err)
	}
	return answer, nil
}

// brokerConn is a connection of its own to one broker, logged in.
type brokerConn struct {
	*wire
	conn net.Conn
}

// dialBroker connects as kafka-go does, which logs in, and keeps the connection under it.
func (c *Client) dialBroker(ctx context.Context, address string, silent time.Duration) (*brokerConn, error) {
	dialer := c.conns(silent)
	dial, config := dialer.DialFunc, dialer.TLS
	var conn net.Conn
	dialer.TLS = nil
	dialer.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := dial(ctx, network, address)
		if err != nil || config == nil {
			conn = plain
			return plain, err
		}
		conn, err = encrypt(ctx, plain, config, address)
		return conn, err
	}
	if _, err := dialer.DialContext(ctx, "tcp", address); err != nil {
		return nil, err
	}
	return &brokerConn{wire: newWire(conn, c.config.ClientID), conn: conn}, nil
}

func encrypt(ctx context.Context, plain net.Conn, config *tls.Config, address string) (net.Conn, error) {
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return conn, nil
}

// exchange sends a request of kmsg's through kafka-go's connections, to any broker.
type exchange struct {
	clientID string
	request  kmsg.Request
	known    int16 // the highest version that is understood here
	answer   kmsg.Response
}

// ApiKey implements protocol.Message.
//
//nolint:revive // the interface calls it so
func (e *exchange) ApiKey() protocol.ApiKey { return protocol.ApiKey(e.request.Key()) }

// Required implements protocol.RawExchanger.
func (e *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger.
func (e *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	w := newWire(rw, e.clientID)
	version, err := w.most(e.request.Key(), e.known)
	if err != nil {
		return nil, err
	}
	e.request.SetVersion(version)
	e.answer, err = w.ask(e.request)
	return e, err
}

// exchange asks any broker. Each request is one of its own: when ctx ends the former
// may still be under way.
func (c *Client) exchange(ctx context.Context, request kmsg.Request, known int16) (kmsg.Response, error) {
	answer, err := as[*exchange](c.transport.RoundTrip(ctx, c.api.Addr, &exchange{clientID: c.config.ClientID, request: request, known: known}))
	if err != nil {
		return nil, err
	}
	return answer.answer, nil
}

// as is the answer as one of the kind that was asked for.
func as[A any](answer any, err error) (A, error) {
	typed, ok := answer.(A)
	if err == nil && !ok {
		err = fmt.Errorf("%w: it is a %T", errNotKafka, answer)
	}
	return typed, err
}

// codeError returns what the code in an answer says, nil for none.
func codeError(code int16) error {
	switch code {
	case 0:
		return nil
	case unknownTopicID, inconsistentTopicID: // which kafka-go does not know
		return errOtherTopic
	}
	return kafkago.Error(code)
}

const (
	unknownTopicID      = 100
	inconsistentTopicID = 103
)

// errOtherTopic: the broker has no topic of this id. It was deleted, and perhaps made
// again, or the broker does not know of it yet.
var errOtherTopic = errors.New("the broker has no topic of that id: it was deleted, or made again")
