package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/services/internal/web"
)

// listenOn opens the address that --listen gives. Its errors have exit codes of their
// own: package command would take those of the network for a database that is away.
func listenOn(ctx context.Context, address string) (net.Listener, error) {
	listener, err := web.Listen(ctx, address)
	if err == nil {
		return listener, nil
	}
	code := command.ExitFailure
	var unknown *net.DNSError
	switch {
	case ctx.Err() != nil:
		return nil, err
	case errors.Is(err, syscall.EADDRINUSE):
		code = command.ExitBusy
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &unknown):
		code = command.ExitUsage
	}
	return nil, command.WithCode(code, err)
}

func checkFlag(address string) error {
	if err := checkAddress(address); err != nil {
		return command.WithCode(command.ExitUsage, fmt.Errorf("serve: --listen %.100q: %w: give host:port, such as 127.0.0.1:8081", address, err))
	}
	return nil
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		if malformed, ok := errors.AsType[*net.AddrError](err); ok {
			return errors.New(malformed.Err)
		}
		return err
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("port %.20q is no number from 0 to 65535", port)
	}
	return nil
}
