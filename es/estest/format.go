package estest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/asof-dev/asof/es"
)

// format is how payloads of a content type stand in files. Those that people cannot read have
// their contract beside them, and what they were as JSON when they were written.
type format struct {
	contentType   string
	ext, contract string
	kind          string // of the contract
}

var formats = []format{ //nolint:gochecknoglobals // it is a constant
	{contentType: es.JSONContentType, ext: ".json"},
	{"application/avro", ".avro", ".avsc", "AVRO"},
	{"application/protobuf", ".pb", ".proto", "PROTOBUF"},
}

func formatOf(contentType string) (format, error) {
	if contentType == "" {
		contentType = es.JSONContentType
	}
	for _, f := range formats {
		if f.contentType == contentType {
			return f, nil
		}
	}
	return format{}, fmt.Errorf("%w: there are no files for payloads of %s", es.ErrInvalid, contentType)
}

func (f format) isJSON() bool { return f.contentType == es.JSONContentType }

// payload is what stands in files, or would.
type payload struct {
	format
	data     []byte
	contract string // its text
	shown    []byte // as JSON
}

// beside is the contract that stands beside a payload, whatever the payload calls it.
type beside struct{ kind, text string }

func (b beside) Contract(_ context.Context, kind, fingerprint string) (es.Contract, error) {
	if b.text == "" || kind != b.kind {
		return es.Contract{}, fmt.Errorf("%w: %s %s is not beside the payload", es.ErrUnknownContract, kind, fingerprint)
	}
	return es.Contract{Kind: kind, Fingerprint: fingerprint, Text: b.text}, nil
}

// within returns the context in which a payload is read.
func (p payload) within(ctx context.Context) context.Context {
	return es.WithContracts(ctx, beside{p.kind, p.contract})
}

// payload is what a codec has encoded, as it would stand in files.
func (g *golden[E]) payload(of es.EventData) (payload, error) {
	f, err := formatOf(of.ContentType)
	if err != nil {
		return payload{}, err
	}
	p := payload{format: f, data: of.Data, shown: of.Data}
	if f.isJSON() {
		return p, nil
	}
	if of.Contract != nil {
		p.contract = of.Contract.Text
	}
	p.shown, err = es.Describe(p.within(g.ctx), g.codec, recorded(of.Type, of.Schema, p))
	return p, err
}

// read reads a payload from its files.
func (g *golden[E]) read(name string, f format) (payload, error) {
	p := payload{format: f}
	var err error
	if p.data, err = os.ReadFile(g.file(name, f)); err != nil || f.isJSON() {
		p.shown = p.data
		return p, err
	}
	contract, err := os.ReadFile(filepath.Join(g.dir, name+f.contract))
	if err != nil {
		return p, fmt.Errorf("what %s was written by is missing: bring it back: %s", g.file(name, f), err.Error())
	}
	p.contract = string(contract)
	if p.shown, err = os.ReadFile(g.file(name, f) + ".json"); err != nil {
		return p, fmt.Errorf("what %s was as JSON is missing: bring it back: %s", g.file(name, f), err.Error())
	}
	return p, nil
}

// other finds the payload in another format.
func (g *golden[E]) other(name string, than format) (string, bool) {
	for _, f := range formats {
		if _, err := os.Stat(g.file(name, f)); err == nil && f != than {
			return g.file(name, f), true
		}
	}
	return "", false
}

func (g *golden[E]) file(name string, f format) string { return filepath.Join(g.dir, name+f.ext) }

// files lists those of payloads, without what stands beside them, by their names in the
// directory and with their formats.
func (g *golden[E]) files() (names []string, of []format, err error) {
	for _, f := range formats {
		found, err := filepath.Glob(filepath.Join(g.dir, "*.v*"+f.ext))
		if err != nil {
			return nil, nil, err
		}
		for _, name := range found {
			if base := filepath.Base(name); !strings.Contains(base, as) && !isShown(base) {
				names, of = append(names, name), append(of, f)
			}
		}
	}
	return names, of, nil
}

// isShown is whether a file is what a payload was as JSON.
func isShown(name string) bool {
	return slices.ContainsFunc(formats, func(f format) bool { return strings.HasSuffix(name, f.ext+".json") })
}

// keep writes the files of a payload, or says why it would.
func (g *golden[E]) keep(name string, p payload, why error) error {
	if p.isJSON() {
		return g.keepJSON(g.file(name, p.format), p.shown, why)
	}
	if err := g.keepJSON(g.file(name, p.format)+".json", p.shown, why); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(g.dir, name+p.format.contract), []byte(p.contract), 0o644); err != nil {
		return err
	}
	return os.WriteFile(g.file(name, p.format), p.data, 0o644)
}

func (g *golden[E]) keepJSON(path string, data []byte, why error) error {
	if !g.write {
		return fmt.Errorf("%w: see that it is right, run the test with %s=write, and commit the file", why, WriteEnv)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, data, "", "  "); err != nil {
		return fmt.Errorf("%w: the payload is no JSON: %w", why, err)
	}
	text.WriteByte('\n')
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}
