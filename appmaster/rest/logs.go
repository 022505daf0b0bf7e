package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/restapi"
)

var errNoFile = &apiError{http.StatusNotFound, []string{"This file does not exist in JobManager log dir."}}

// ownLogs lists this process's log files.
func (h *handler) ownLogs(*http.Request) (answer, error) {
	files, err := h.listOwn()
	if err != nil {
		return answer{}, err
	}
	return ok(restapi.LogList{Logs: files})
}

func (h *handler) listOwn() ([]restapi.LogFile, error) {
	out := []restapi.LogFile{}
	if h.cfg.LogDir == "" {
		return out, nil
	}
	entries, err := os.ReadDir(h.cfg.LogDir)
	if err != nil {
		return nil, fmt.Errorf("list log directory: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && plainName(e.Name()) {
			out = append(out, restapi.LogFile{Name: e.Name(), Size: info.Size(), MTime: info.ModTime().UnixMilli()})
		}
	}
	return out, nil
}

// ownFile makes the route of one of this process's log files: the named one, or the one that the path names.
func (h *handler) ownFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		file := name
		if file == "" {
			file = r.PathValue("filename")
		}
		if !plainName(file) {
			h.fail(w, r, fileNotFound(r.URL.Path))
			return
		}
		f, size, err := openIn(h.cfg.LogDir, file)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		defer f.Close()
		h.send(w, r, f, size)
	}
}

// launchScript is what YARN leaves among the logs: it has the container's whole environment in it, which is nobody's business here.
const launchScript = "launch_container.sh"

// plainName says whether a name is that of a file that may be shown, directly in a directory.
func plainName(name string) bool {
	return name != launchScript && name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\\\x00")
}

// openIn opens a regular file directly in dir.
func openIn(dir, name string) (*os.File, int64, error) {
	if dir == "" {
		return nil, 0, errNoFile
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("open log directory: %w", err)
	}
	defer root.Close()
	// What is no regular file (a pipe would block the opening) is not there.
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, 0, errNoFile
	}
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, errNoFile
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open log file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("look at log file: %w", err), f.Close())
	}
	return f, info.Size(), nil
}

// workerLogs lists a worker's log files.
func (h *handler) workerLogs(l Leader, r *http.Request) (answer, error) {
	files, _, err := h.listWorker(r.Context(), l, r)
	if err != nil {
		return answer{}, err
	}
	out := restapi.LogList{Logs: []restapi.LogFile{}}
	for _, f := range files {
		out.Logs = append(out.Logs, restapi.LogFile{Name: f.GetName(), Size: int64(f.GetSize()), MTime: int64(f.GetModifiedMillis())})
	}
	return ok(out)
}

// listTimeout bounds the question to a worker which files it has.
const listTimeout = 15 * time.Second

// listWorker asks the worker that the path names for its files.
func (h *handler) listWorker(ctx context.Context, l Leader, r *http.Request) ([]*pb.LogFile, gateway.TaskExecutor, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	w, err := findWorker(l, r)
	if err != nil {
		return nil, nil, err
	}
	if w == nil {
		return nil, nil, &apiError{http.StatusNotFound, []string{
			"Failed to transfer file from TaskExecutor " + r.PathValue("taskmanagerid") + " because it was unknown."}}
	}
	worker := h.cfg.Logs.TaskExecutor(w.Registration.GetAddress())
	resp, err := worker.ListLogs(ctx, &pb.ListLogsRequest{})
	if err != nil {
		return nil, nil, transferFailed(r, err.Error())
	}
	return slices.DeleteFunc(resp.GetFiles(), func(f *pb.LogFile) bool { return !plainName(f.GetName()) }), worker, nil
}

func transferFailed(r *http.Request, cause string) error {
	return internal("Failed to transfer file from TaskExecutor " + r.PathValue("taskmanagerid") + ".\nCaused by: " + cause)
}

// workerFile makes the route of one of a worker's log files: the named one, or the one that the path names. Only names that the worker
// lists are asked for.
func (h *handler) workerFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l, leads := h.cfg.Leader()
		if !leads {
			h.fail(w, r, errNoLeader)
			return
		}
		file := name
		if file == "" {
			file = r.PathValue("filename")
		}
		files, worker, err := h.listWorker(r.Context(), l, r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		i := slices.IndexFunc(files, func(f *pb.LogFile) bool { return f.GetName() == file })
		if i < 0 {
			h.fail(w, r, transferFailed(r, "The file "+file+" does not exist on the TaskExecutor."))
			return
		}
		size := files[i].GetSize()
		if size == 0 {
			h.send(w, r, strings.NewReader(""), 0)
			return
		}
		body, err := worker.ReadLog(r.Context(), pb.ReadLogRequest_builder{Name: file, Limit: size}.Build())
		if err != nil {
			h.fail(w, r, transferFailed(r, err.Error()))
			return
		}
		defer body.Close()
		h.send(w, r, body, int64(size))
	}
}

// send sends a log file as text. Its size was taken before; what is written to it meanwhile stays out, and a reader that cannot give so
// much breaks the connection, so that nobody takes a part for the whole.
func (h *handler) send(w http.ResponseWriter, r *http.Request, body io.Reader, size int64) {
	select {
	case h.logs <- struct{}{}:
		defer func() { <-h.logs }()
	default:
		h.fail(w, r, errBusy)
		return
	}
	first := make([]byte, min(size, 32<<10))
	n, err := io.ReadAtLeast(body, first, int(min(size, 1)))
	if err != nil {
		h.fail(w, r, rpc.Wrap(rpc.Internal, "read log file", err))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Content-Length", fmt.Sprint(size))
	out := patient{h, w}
	if _, err := out.Write(first[:n]); err != nil {
		return
	}
	if _, err := io.Copy(out, io.LimitReader(body, size-int64(n))); err != nil {
		h.cfg.Log.Info("log file not sent to its end", "path", r.URL.Path, "cause", err)
	}
}

// patient gives each write its own time.
type patient struct {
	h *handler
	w http.ResponseWriter
}

func (p patient) Write(b []byte) (int, error) {
	p.h.allowWrite(p.w)
	return p.w.Write(b)
}
