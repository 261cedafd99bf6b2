package embeddedtest

import "context"

// Dir is the directory that holds the server's own.
func (s *TestServer) Dir() string { return s.place.dir }

// Dir is where the backup lies.
func (b *Backup) Dir() string { return b.dir }

// Sweep is what a test process does before its first server.
func Sweep(ctx context.Context) error { return sweep(ctx) }

// Abandon leaves the directory of a server as an ended process does.
func Abandon(ctx context.Context) (dir string, err error) {
	server, _, place, err := newServer(ctx, settings{})
	if err != nil {
		return "", err
	}
	if err := server.Close(); err != nil {
		return "", err
	}
	return place.dir, place.lock.Release()
}
