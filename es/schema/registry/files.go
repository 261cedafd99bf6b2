package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema"
)

// Files is a directory that [Write] has written, and nothing else: TYPE.vN.avsc, .proto or
// .json. A contract is held to the one of its type and schema version: with a new version
// consumers wait, and upcasters read the former one.
func Files(dir string) Base { return files{dir, os.ReadFile} }

type files struct {
	dir  string
	read func(name string) ([]byte, error) // matches fs.ErrNotExist
}

// Former returns the one of the declared one's type and version.
func (f files) Former(_ context.Context, d Declared) ([]Former, error) {
	if info, err := os.Stat(f.dir); err != nil || !info.IsDir() {
		return nil, &failure{fmt.Sprintf("there is no directory %q: write the contracts into it, and commit them", f.dir), es.ErrInvalid}
	}
	var former []Former
	for _, kind := range []schema.Kind{schema.Avro, schema.Protobuf, schema.JSON} {
		name := filepath.Join(f.dir, baseName(d)+extension(kind))
		text, err := f.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("registry: %w", err)
		}
		former = append(former, Former{d.Schema, es.Contract{Kind: string(kind), Text: string(text)}})
	}
	if len(former) > 1 {
		return nil, &failure{fmt.Sprintf("%s is there as %s and as %s: remove the one that is not written by", baseName(d), former[0].Contract.Kind, former[1].Contract.Kind), es.ErrInvalid}
	}
	return former, nil
}

// Write writes the contracts into a directory, to be committed. It writes nothing where one of
// them breaks what is there: that is a [*RefusedError].
func Write(ctx context.Context, dir string, declared []Declared, c Compatibility) (Report, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Report{}, fmt.Errorf("registry: %w", err)
	}
	report, err := Check(ctx, declared, Files(dir), c)
	if err != nil || !report.OK {
		return report, err
	}
	for _, d := range declared {
		if err := replace(filepath.Join(dir, baseName(d)+extension(schema.Kind(d.Contract.Kind))), d.Contract.Text); err != nil {
			return report, fmt.Errorf("registry: %w", err)
		}
	}
	return report, nil
}

// replace writes a file as a whole, or not.
func replace(name, text string) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), ".contract-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // it is there only when something failed
	_, err = temporary.WriteString(text)
	if err = errors.Join(err, temporary.Chmod(0o644), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}

// baseName is TYPE.vN, without what file systems do not take. A type has no percent sign.
func baseName(d Declared) string {
	return fmt.Sprintf("%s.v%d", strings.NewReplacer("/", "%2F", ":", "%3A").Replace(d.Type), d.Schema)
}

func extension(kind schema.Kind) string {
	switch kind {
	case schema.Avro:
		return ".avsc"
	case schema.Protobuf:
		return ".proto"
	default:
		return ".json"
	}
}
