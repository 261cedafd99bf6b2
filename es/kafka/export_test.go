package kafka

import (
	"context"
	"net"
)

// NewThrough is New with connections that the test makes.
func NewThrough(c Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Client, error) {
	return newClient(c, dial)
}

// KeyPartition is the partition of a key.
func KeyPartition(key []byte, partitions int) int { return keyPartition(key, partitions) }
