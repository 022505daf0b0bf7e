package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/pb"
)

// maxLogs bounds the list of log files.
const maxLogs = 10_000

// ListLogs implements gateway.TaskExecutorServer: the regular files directly in the log directory.
func (e *Executor) ListLogs(context.Context, *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	root, err := e.logRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("list log directory: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxLogs)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("list log directory: %w", err)
	}
	var files []*pb.LogFile
	for _, entry := range entries {
		info, err := root.Lstat(entry.Name())
		if err != nil || !info.Mode().IsRegular() {
			continue // rolled away meanwhile, or no log
		}
		files = append(files, pb.LogFile_builder{
			Name: strings.ToValidUTF8(entry.Name(), "�"), Size: uint64(info.Size()), ModifiedMillis: uint64(info.ModTime().UnixMilli()),
		}.Build())
	}
	return pb.ListLogsResponse_builder{Files: files}.Build(), nil
}

// ReadLog implements gateway.TaskExecutorServer. The name must be that of a regular file directly in the log directory: others, and what
// leads out of it, are rpc.ErrNotFound.
func (e *Executor) ReadLog(_ context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error) {
	root, err := e.logRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := openLog(root, req.GetName())
	if err != nil {
		return nil, rpc.New(rpc.NotFound, fmt.Sprintf("log file %.200q is not there", req.GetName()))
	}
	if req.GetOffset() > math.MaxInt64 || req.GetLimit() > math.MaxInt64 {
		f.Close()
		return nil, rpc.New(rpc.Invalid, "offset and limit of a log file are too large")
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read log file %q: %w", req.GetName(), err)
	}
	offset := int64(req.GetOffset())
	n := max(0, info.Size()-offset) // to the end as it is now
	if limit := int64(req.GetLimit()); limit > 0 {
		n = min(n, limit)
	}
	return section{io.NewSectionReader(f, offset, n), f}, nil
}

type section struct {
	*io.SectionReader
	io.Closer
}

// openLog opens a regular file without following a link, nor waiting for the other end of a pipe.
func openLog(root *os.Root, name string) (*os.File, error) {
	if name == "" || strings.ContainsRune(name, '/') {
		return nil, fs.ErrNotExist
	}
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return root.Open(name)
}

func (e *Executor) logRoot() (*os.Root, error) {
	if e.cfg.LogDir == "" {
		return nil, rpc.New(rpc.NotFound, "this worker keeps no log files")
	}
	root, err := os.OpenRoot(e.cfg.LogDir)
	if err != nil {
		return nil, rpc.Wrap(rpc.NotFound, "", err)
	}
	return root, nil
}
