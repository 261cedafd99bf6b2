package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// rootDir is root's default Dir: the server runs as another user and must be
// able to enter it.
const rootDir = "/var/lib/asof"

// defaultDir follows the XDG base directory specification.
func defaultDir() (string, error) {
	if os.Geteuid() == 0 {
		return rootDir, nil
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "asof"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the data, set ASOF_DIR: %w", err)
	}
	return filepath.Join(home, ".local", "state", "asof"), nil
}
