package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/asof-dev/asof/es/kafka"
)

// guarded is a cluster that wants TLS and a login, and a certificate pool that trusts
// it.
func guarded(t *testing.T, options ...kfake.Opt) ([]string, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	options = append(options, kfake.NumBrokers(2), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "ann", "secret-1"), kfake.Superuser("SCRAM-SHA-256", "ann", "secret-1"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs(), pool
}

func scramLogin(t *testing.T, user, password string) sasl.Mechanism {
	t.Helper()
	mechanism, err := scram.Mechanism(scram.SHA256, user, password)
	if err != nil {
		t.Fatal(err)
	}
	return mechanism
}

func TestTLS_and_login(t *testing.T) {
	t.Parallel()
	brokers, pool := guarded(t)
	for name, login := range map[string]sasl.Mechanism{
		"plain": plain.Mechanism{Username: "ann", Password: "secret-1"},
		"scram": scramLogin(t, "ann", "secret-1"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := kafka.New(kafka.Config{Brokers: brokers, TLS: &tls.Config{RootCAs: pool}, SASL: login, Logger: logger(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			topic := newTopic(t, c, 2)
			publish(t, newProducer(t, c), numbered(topic, 10, 2)...)
			var got collector
			member := consumeBy(t, c, kafka.Group{Name: unique("group"), Topics: []string{topic}}, got.collect)
			got.wait(t, 10)
			member.stop()
		})
	}
}

func TestRefused_login_is_said_without_the_password(t *testing.T) {
	t.Parallel()
	brokers, pool := guarded(t)
	trusting := &tls.Config{RootCAs: pool}
	for name, test := range map[string]struct {
		config kafka.Config
		want   error
		text   string
	}{
		"plain":   {kafka.Config{TLS: trusting, SASL: plain.Mechanism{Username: "ann", Password: "secret-2"}}, kafka.ErrDenied, "check user, password and mechanism"},
		"scram":   {kafka.Config{TLS: trusting, SASL: scramLogin(t, "ann", "secret-2")}, kafka.ErrDenied, "check user, password and mechanism"},
		"nobody":  {kafka.Config{TLS: trusting, SASL: plain.Mechanism{Username: "bob", Password: "secret-2"}}, kafka.ErrDenied, "check user, password and mechanism"},
		"none":    {kafka.Config{TLS: trusting}, kafka.ErrUnreachable, "expects a login"},
		"no TLS":  {kafka.Config{SASL: plain.Mechanism{Username: "ann", Password: "secret-1"}}, kafka.ErrUnreachable, "expects TLS"},
		"neither": {kafka.Config{}, kafka.ErrUnreachable, "TLS"},
		"foreign": {kafka.Config{TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, kafka.ErrUnreachable, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.Brokers = brokers
			c, err := kafka.New(test.config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_, partitions := c.Partitions(testContext(t), "topic")
			for what, err := range map[string]error{"ping": c.Ping(testContext(t)), "partitions": partitions} {
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "secret-") {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// The connections of partitions are made in a way of their own.
func TestConnections_of_partitions_are_verified(t *testing.T) {
	t.Parallel()
	brokers, pool := guarded(t)
	_, port, err := net.SplitHostPort(brokers[0])
	if err != nil {
		t.Fatal(err)
	}
	right := plain.Mechanism{Username: "ann", Password: "secret-1"}
	for name, test := range map[string]struct {
		config  kafka.Config
		address string
		text    string // of the error
	}{
		"right":           {kafka.Config{TLS: &tls.Config{RootCAs: pool}, SASL: right}, brokers[0], ""},
		"of another name": {kafka.Config{TLS: &tls.Config{RootCAs: pool}, SASL: right}, "localhost:" + port, "certificate"},
		"a name is given": {kafka.Config{TLS: &tls.Config{RootCAs: pool, ServerName: "localhost"}, SASL: right}, brokers[0], "certificate"},
		"foreign":         {kafka.Config{TLS: &tls.Config{RootCAs: x509.NewCertPool()}, SASL: right}, brokers[0], "certificate"},
		"wrong password":  {kafka.Config{TLS: &tls.Config{RootCAs: pool}, SASL: plain.Mechanism{Username: "ann", Password: "secret-2"}}, brokers[0], "SASL"},
	} {
		test.config.Brokers = brokers
		c, err := kafka.New(test.config)
		if err != nil {
			t.Fatal(err)
		}
		err = c.DialBroker(testContext(t), test.address)
		if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) || err != nil && strings.Contains(err.Error(), "secret-") {
			t.Errorf("%s: %v", name, err)
		}
		_ = c.Close()
	}
}

func TestMissing_ACL_is_said(t *testing.T) {
	t.Parallel()
	brokers, pool := guarded(t, kfake.EnableACLs(), kfake.User("PLAIN", "eve", "secret-3"))
	connect := func(user, password string) *kafka.Client {
		c, err := kafka.New(kafka.Config{Brokers: brokers, TLS: &tls.Config{RootCAs: pool}, SASL: plain.Mechanism{Username: user, Password: password}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	topic := newTopic(t, connect("ann", "secret-1"), 1)
	err := newProducer(t, connect("eve", "secret-3")).Publish(testContext(t), kafka.Message{Topic: topic})
	if !errors.Is(err, kafka.ErrNoTopic) && !errors.Is(err, kafka.ErrDenied) || !strings.Contains(err.Error(), "ACL") {
		t.Fatal(err)
	}
}
