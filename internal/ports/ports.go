// Package ports finds free ports of 127.0.0.1 and remembers them in files.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// Free ports are looked for below the range from which systems take the ports
// of outgoing connections: one of those may be gone when a restart needs it.
const (
	firstPort = 20000
	lastPort  = 31999
	portTries = 200
)

// Free is a port of 127.0.0.1 that nobody listens on at this moment.
func Free() (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if portFree(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

func portFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	return err == nil && listener.Close() == nil
}

// Read returns the port remembered in the file at path, 0 for none.
func Read(path string) (int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("%s does not hold a port: remove it to get a new one", path)
	}
	return port, nil
}

// Write remembers port in the file at path.
func Write(path string, port int) error {
	return os.WriteFile(path, []byte(strconv.Itoa(port)+"\n"), 0o644)
}
