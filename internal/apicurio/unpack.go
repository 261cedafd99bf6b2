package apicurio

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// untar unpacks the files of a .tar.gz.
func untar(name, dir string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := write(dir, header.Name, header.FileInfo().Mode(), archive); err != nil {
			return err
		}
	}
}

// unzip unpacks a wheel. What is to be run is executable afterwards, whatever the archive says.
func unzip(name, dir string) error {
	archive, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, entry := range archive.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		mode := os.FileMode(0o644)
		if strings.Contains(entry.Name, "/bin/") || strings.HasSuffix(entry.Name, "/jspawnhelper") {
			mode = 0o755
		}
		content, err := entry.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(write(dir, entry.Name, mode, content), content.Close()); err != nil {
			return err
		}
	}
	return nil
}

func write(dir, name string, mode os.FileMode, content io.Reader) (err error) {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("the archive has a file outside of itself: %q", name)
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm()|0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, content)
	return err
}
