package realkafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/asof-dev/asof/internal/child"
)

// logLines is how many lines of a node's log an error carries.
const logLines = 20

// program is what runs a node.
type program struct {
	java string
	jars string // the directory of the jars
}

// command runs a main class of Kafka's, in a JVM that is quick to start and
// small: three of them share a machine with the tests.
func (p program) command(class string, args ...string) *exec.Cmd {
	flags := []string{
		"-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(p.jars, "*"), class,
	}
	return exec.Command(p.java, append(flags, args...)...)
}

// node is a broker and controller of the cluster.
type node struct {
	id             int
	port           int
	controllerPort int
	dir            string
	cmd            *exec.Cmd
	done           <-chan struct{} // closed when the process has ended and is reaped; nil before start
}

// properties of a node. The two times at the end make a dead broker's
// partitions move within seconds.
const properties = `process.roles=broker,controller
node.id={{.ID}}
controller.quorum.voters={{.Voters}}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{{.Port}},CONTROLLER://127.0.0.1:{{.ControllerPort}}
advertised.listeners=PLAINTEXT://127.0.0.1:{{.Port}}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={{.Data}}
num.partitions=3
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
unclean.leader.election.enable=false
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
`

func (n *node) propertiesFile() string { return filepath.Join(n.dir, "node.properties") }
func (n *node) log() string            { return filepath.Join(n.dir, "node.log") }
func (n *node) address() string        { return "127.0.0.1:" + strconv.Itoa(n.port) }

// write makes the node's directory and its properties.
func (n *node) write(voters string) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	parsed, err := template.New("").Parse(properties)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, map[string]any{
		"ID": n.id, "Voters": voters, "Port": n.port, "ControllerPort": n.controllerPort,
		"Data": filepath.ToSlash(filepath.Join(n.dir, "data")),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(n.propertiesFile(), text.Bytes(), 0o600)
}

// format makes the node's empty data directory.
func (n *node) format(ctx context.Context, p program, cluster string) error {
	plain := p.command("kafka.tools.StorageTool", "format", "-t", cluster, "-c", n.propertiesFile())
	cmd := exec.CommandContext(ctx, plain.Path, plain.Args[1:]...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("format node %d: %w: %s", n.id, err, lastLines(string(out)))
	}
	return nil
}

// start starts the node's process.
func (n *node) start(p program) error {
	log, err := os.Create(n.log())
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own handle
	cmd := p.command("kafka.Kafka", n.propertiesFile())
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.dir, log, log
	done, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	n.cmd, n.done = cmd, done
	return nil
}

// portTakenError says that another process was quicker to listen.
type portTakenError struct{ log string }

func (e *portTakenError) Error() string {
	return "a port was taken before the broker could listen on it:\n" + e.log
}

// awaitReady waits until the node answers and knows the whole cluster.
func (n *node) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := knowsAll(ctx, n.address())
		if err == nil {
			return nil
		}
		select {
		case <-n.done:
			return n.ended()
		case <-ctx.Done():
			return fmt.Errorf("node %d is not ready (%w): %w, its log says:\n%s", n.id, err, context.Cause(ctx), n.tail())
		case <-ticker.C:
		}
	}
}

// ended is the error of a process that should have gone on.
func (n *node) ended() error {
	log := n.tail()
	if strings.Contains(log, "Address already in use") {
		return &portTakenError{log: log}
	}
	return fmt.Errorf("node %d ended (%s), its log says:\n%s", n.id, n.cmd.ProcessState, log)
}

// kill ends the process and waits until it is gone. Its data is not needed any
// more, so there is nothing to stop cleanly.
func (n *node) kill() error {
	if n.done == nil {
		return nil
	}
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-n.done
	return nil
}

// tail is the end of the node's log.
func (n *node) tail() string {
	text, err := os.ReadFile(n.log())
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	} else if err != nil {
		return err.Error()
	}
	return lastLines(string(text))
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-logLines):], "\n")
}
