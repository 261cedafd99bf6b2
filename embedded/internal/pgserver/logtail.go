package pgserver

import (
	"io"
	"os"
	"strings"
)

const (
	logLines   = 12       // how many lines of the log an error carries
	tailBytes  = 16 << 10 // how much of it is looked at
	rotateSize = 10 << 20 // a larger log is set aside at the next start
)

// openLog opens the log to append to; its size is where this run begins.
func openLog(path string) (file *os.File, size int64, err error) {
	if info, err := os.Stat(path); err == nil && info.Size() > rotateSize {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, 0, err
		}
	}
	file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// tail returns the last lines of the log at path that were written after from.
func tail(path string, from int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		from = max(from, info.Size()-tailBytes)
	}
	text, err := io.ReadAll(io.NewSectionReader(file, from, tailBytes))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text), logLines)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
