package realkafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/internal/cachedir"
	"github.com/asof-dev/asof/internal/ports"
)

const (
	nodes = 3
	// readyWait is how long a cluster may take until all its brokers answer:
	// seven seconds on two idle cores.
	readyWait = 2 * time.Minute
	askWait   = 2 * time.Second
	pollEvery = 100 * time.Millisecond
	// startTries bounds the starts after a port was taken between the look for
	// a free one and the broker's use of it.
	startTries = 3
)

// Config says where things lie.
type Config struct {
	// CacheDir keeps the jars. Default: that of embedded.Config.
	CacheDir string

	// Logger gets what is done. Default: slog.Default().
	Logger *slog.Logger
}

// Cluster is three running brokers.
type Cluster struct {
	dir      *scratch
	program  program
	nodes    []*node
	closing  sync.Once
	closeErr error
}

// Start starts a cluster and returns when each of its brokers knows the other
// two. The first start on a machine fetches Kafka (44 MB). ctx bounds the start
// alone: end the Cluster with Close. On Linux the brokers also end with this
// process, however it ends.
func Start(ctx context.Context, c Config) (*Cluster, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	cluster, err := start(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	return cluster, nil
}

func start(ctx context.Context, c Config) (*Cluster, error) {
	cache, err := cachedir.Dir(c.CacheDir)
	if err != nil {
		return nil, err
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	jars, err := findJars(ctx, cache, "kafka-"+kafkaVersion, broker(), c.Logger)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		cluster, err := launch(ctx, cache, program{java: java, jars: jars})
		if taken := (*portTakenError)(nil); errors.As(err, &taken) && try < startTries {
			continue
		}
		return cluster, err
	}
}

// launch formats and starts the nodes and waits until they answer.
func launch(ctx context.Context, cache string, p program) (_ *Cluster, err error) {
	dir, err := newScratch(ctx, filepath.Join(cache, "testbrokers"))
	if err != nil {
		return nil, err
	}
	cluster := &Cluster{dir: dir, program: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, cluster.close())
		}
	}()
	if cluster.nodes, err = layOut(dir.path); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	id := clusterID()
	every, everyCtx := errgroup.WithContext(ctx)
	for _, n := range cluster.nodes {
		every.Go(func() error {
			if err := n.format(everyCtx, p, id); err != nil {
				return err
			}
			return n.start(p)
		})
	}
	if err := every.Wait(); err != nil {
		return nil, err
	}
	every, everyCtx = errgroup.WithContext(ctx)
	for _, n := range cluster.nodes {
		every.Go(func() error { return n.awaitReady(everyCtx) })
	}
	return cluster, every.Wait()
}

// layOut gives each node its number, ports, directory and properties.
func layOut(dir string) ([]*node, error) {
	free, err := freePorts(2 * nodes)
	if err != nil {
		return nil, err
	}
	var all []*node
	voters := ""
	for i := range nodes {
		n := &node{id: i + 1, port: free[2*i], controllerPort: free[2*i+1]}
		n.dir = filepath.Join(dir, strconv.Itoa(n.id))
		all = append(all, n)
		if voters != "" {
			voters += ","
		}
		voters += fmt.Sprintf("%d@127.0.0.1:%d", n.id, n.controllerPort)
	}
	for _, n := range all {
		if err := n.write(voters); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// freePorts are n different ones.
func freePorts(n int) ([]int, error) {
	seen := map[int]bool{}
	var free []int
	for len(free) < n {
		port, err := ports.Free()
		if err != nil {
			return nil, err
		}
		if !seen[port] {
			seen[port] = true
			free = append(free, port)
		}
	}
	return free, nil
}

// clusterID is 16 random bytes as Kafka writes them. The first is zero, so that
// the text never begins with a dash, which would read as an option.
func clusterID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id[1:]) // never fails
	return base64.RawURLEncoding.EncodeToString(id)
}

// Brokers are the host:port of the three brokers.
func (c *Cluster) Brokers() []string {
	var addresses []string
	for _, n := range c.nodes {
		addresses = append(addresses, n.address())
	}
	return addresses
}

// Kill ends a broker (by its index in Brokers) as kill -9 does. Its data stays.
func (c *Cluster) Kill(broker int) error {
	if err := c.nodes[broker].kill(); err != nil {
		return fmt.Errorf("realkafka: kill broker %d: %w", broker, err)
	}
	return nil
}

// Restart starts a killed broker again on its data and port, and returns when it
// knows the other two.
func (c *Cluster) Restart(ctx context.Context, broker int) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	n := c.nodes[broker]
	if err := n.start(c.program); err != nil {
		return fmt.Errorf("realkafka: restart broker %d: %w", broker, err)
	}
	if err := n.awaitReady(ctx); err != nil {
		return fmt.Errorf("realkafka: restart broker %d: %w", broker, err)
	}
	return nil
}

// Close stops the brokers and removes their data. A second call returns what
// the first did.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		if err := c.close(); err != nil {
			c.closeErr = fmt.Errorf("realkafka: %w", err)
		}
	})
	return c.closeErr
}

func (c *Cluster) close() error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.kill())
	}
	return errors.Join(append(errs, c.dir.remove())...)
}

// knowsAll asks one broker for the cluster that it sees.
func knowsAll(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	transport := &kafka.Transport{Dial: (&net.Dialer{}).DialContext}
	defer transport.CloseIdleConnections()
	client := kafka.Client{Addr: kafka.TCP(address), Transport: transport}
	seen, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	if len(seen.Brokers) != nodes {
		return fmt.Errorf("%s knows %d of %d brokers", address, len(seen.Brokers), nodes)
	}
	return nil
}
