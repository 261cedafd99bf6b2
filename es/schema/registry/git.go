package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/asof-dev/asof/es"
)

// Git is a directory of [Files] as it was at a revision, such as origin/main.
func Git(dir, revision string) Base { return &git{dir: dir, revision: revision} }

type git struct{ dir, revision string }

// Former returns the one of the declared one's type and version.
func (g *git) Former(ctx context.Context, d Declared) ([]Former, error) {
	commit, err := g.commit(ctx)
	if err != nil {
		return nil, err
	}
	read := func(name string) ([]byte, error) { return g.read(ctx, commit, filepath.Base(name)) }
	return files{g.dir, read}.Former(ctx, d)
}

// commit is the revision's: later it is no option, nor anything else.
func (g *git) commit(ctx context.Context) (string, error) {
	if _, err := g.run(ctx, "rev-parse", "--show-prefix"); err != nil {
		return "", err
	}
	out, err := g.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", g.revision+"^{commit}")
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", &failure{fmt.Sprintf("git has no revision %q: fetch it first (a checkout of CI often has the last commit alone)", g.revision), es.ErrInvalid}
	}
	return strings.TrimSpace(string(out)), err
}

// read is a file of the commit, byte for byte.
func (g *git) read(ctx context.Context, commit, name string) ([]byte, error) {
	list, err := g.run(ctx, "ls-tree", "-z", "--name-only", commit, "--", "./"+name)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fs.ErrNotExist
	}
	return g.run(ctx, "cat-file", "blob", commit+":./"+name)
}

func (g *git) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", g.dir}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, &failure{"there is no git: install it, or compare with a directory", es.ErrInvalid}
	}
	if err != nil {
		return nil, fmt.Errorf("registry: git %s in %s: %w: %s", args[0], g.dir, err, shortened(said.String()))
	}
	return out, nil
}
