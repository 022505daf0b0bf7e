package tfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Log is one file of a container's log directory.
type Log struct {
	Container string // container id
	Name      string
	Size      int64 // bytes, as it was when it was collected
}

// Logs calls do for every log file in an aggregated log, in order. content has Size bytes, less when the file shrank meanwhile; it is
// valid during the call, and what do leaves of it is skipped. An error of do ends the reading and is returned as it is.
func (f *File) Logs(ctx context.Context, do func(l Log, content io.Reader) error) error {
	return f.Each(ctx, func(key []byte, value io.Reader) error {
		container, err := readUTF(bytes.NewReader(key))
		if err != nil {
			return malformed("key %.60q", key)
		}
		if !strings.HasPrefix(container, "container_") { // VERSION, APPLICATION_ACL, APPLICATION_OWNER
			return nil
		}
		return eachLog(container, value, do)
	})
}

func eachLog(container string, value io.Reader, do func(l Log, content io.Reader) error) error {
	for {
		name, err := readUTF(value)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformed("a file name of %s: %v", container, err)
		}
		digits, err := readUTF(value)
		if err != nil {
			return malformed("the size of %s of %s: %v", name, container, err)
		}
		size, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || size < 0 {
			return malformed("the size of %s of %s is %.40q", name, container, digits)
		}
		content := io.LimitReader(value, size)
		if err := do(Log{container, name, size}, content); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return err
		}
	}
}
