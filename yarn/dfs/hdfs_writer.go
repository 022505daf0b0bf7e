package dfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/flott-dev/flott/yarn/ipc"
)

const (
	// maxBlockSize is the largest block chosen to keep a file in one piece.
	maxBlockSize = 2 << 30
	// writePiece bounds what the byte client copies at once.
	writePiece = 1 << 20
	// abortTimeout bounds the clean-up of a failed file, which must not depend on the Writer's context.
	abortTimeout = 30 * time.Second
)

// blockSize keeps a file of known size in one block: every further block is one more chance to fail for good, because the byte
// client cannot replace a DataNode nor wait for one that lags behind.
func blockSize(expected, def int64) int64 {
	if expected <= def || expected > maxBlockSize {
		return def
	}
	return (expected + 511) &^ 511
}

// Create implements FS.
func (h *HDFS) Create(ctx context.Context, p string, o CreateOptions) (Writer, error) {
	p, err := cleanPath("create", p)
	if err != nil {
		return nil, err
	}
	def, err := h.defaults(ctx)
	if err != nil {
		return nil, h.fail("create", p, "", err)
	}
	repl := o.Replication
	if repl <= 0 {
		repl = int(def.GetReplication())
	}
	b, err := h.bytes.get(ctx)
	if err != nil {
		return nil, h.fail("create", p, "", err)
	}
	w := &hdfsWriter{h: h, ctx: ctx, b: b, path: p}
	w.stop = context.AfterFunc(ctx, func() { b.kill(context.Cause(ctx)) })
	b.setWriting(true)
	perm := o.perm() & fs.ModePerm
	w.f, err = b.client.CreateFile(p, repl, blockSize(o.ExpectedSize, int64(def.GetBlockSize())), perm)
	if err != nil {
		return nil, w.createFailed(err)
	}
	// The status names the file itself, so that Abort and Close never take another one for it.
	s, err := h.status(ctx, p)
	if err == nil {
		w.id = s.GetFileId()
		err = supported(s.GetEcPolicy(), s.GetFileEncryptionInfo())
	}
	if err != nil {
		return nil, h.fail("create", p, "", errors.Join(err, w.Abort()))
	}
	return w, nil
}

// createFailed ends a Writer whose create did not succeed. When the answer was lost the file may be there: only its lease holder
// can complete it, so if that works it is ours, and it goes.
func (w *hdfsWriter) createFailed(err error) error {
	cause := w.b.explain(err)
	name := w.b.client.Name()
	w.ended, w.clean = true, true
	w.stop()
	w.h.bytes.put(w.b, false)
	var remote *ipc.RemoteError
	if !errors.As(cause, &remote) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortTimeout)
		defer cancel()
		if w.h.complete(ctx, w.path, name) == nil {
			cause = errors.Join(cause, w.h.Delete(ctx, w.path, false))
		}
	}
	return w.h.fail("create", w.path, "", cause)
}

// hdfsWriter writes one file through one byte client.
type hdfsWriter struct {
	h    *HDFS
	ctx  context.Context
	b    *byteClient
	f    *hdfs.FileWriter
	stop func() bool // takes back the watch on ctx
	path string
	id   uint64
	size int64
	err  error // of a Write: the file has a hole or lacks its end

	ended bool // no more Write or Close
	clean bool // nothing left for Abort
}

// Write hands bytes over; that they arrived is known only when Close returned nil.
func (w *hdfsWriter) Write(p []byte) (n int, err error) {
	if w.ended {
		return 0, w.h.fail("write", w.path, "", ErrClosed)
	}
	for len(p) > 0 {
		if err := w.failed(); err != nil {
			return n, w.h.fail("write", w.path, "", err)
		}
		k, err := w.f.Write(p[:min(len(p), writePiece)])
		n, p, w.size = n+k, p[k:], w.size+int64(k)
		if err != nil {
			w.err = w.b.explain(err)
		}
	}
	return n, w.h.fail("write", w.path, "", w.failed())
}

// failed says why this file cannot succeed any more.
func (w *hdfsWriter) failed() error {
	if w.err == nil {
		if w.err = context.Cause(w.ctx); w.err == nil {
			w.err = w.b.explain(w.b.broken())
		}
	}
	return w.err
}

// Close ends the file and then asks the NameNode what is there.
func (w *hdfsWriter) Close() error {
	if w.ended {
		return w.h.fail("close", w.path, "", ErrClosed)
	}
	if err := w.failed(); err != nil {
		w.giveUp(err)
		return w.h.fail("close", w.path, "", err)
	}
	w.ended = true
	// After an error a second Close of the byte client would report a whole file. Only "still replicating" may be repeated.
	err := w.b.explain(w.awaitReplicas(w.f.Close()))
	w.stop()
	w.h.bytes.put(w.b, err == nil)
	if err = w.verify(err); err != nil {
		return w.h.fail("close", w.path, "", err)
	}
	w.clean = true
	return nil
}

// giveUp ends the byte client's part. Its connections go first: its Close would make a whole file of what there is.
func (w *hdfsWriter) giveUp(cause error) {
	w.ended = true
	w.stop()
	w.b.kill(cause)
	_ = w.f.Close() // ends its goroutines
	w.h.bytes.put(w.b, false)
}

// awaitReplicas repeats complete until the NameNode knows of enough replicas of the last block.
func (w *hdfsWriter) awaitReplicas(err error) error {
	deadline := time.Now().Add(w.h.cfg.CloseTimeout)
	for wait := 5 * time.Millisecond; hdfs.IsErrReplicating(err); wait = min(2*wait, time.Second) {
		if time.Now().After(deadline) {
			return fmt.Errorf("data nodes did not report the last block within %v: %w", w.h.cfg.CloseTimeout, err)
		}
		if serr := sleep(w.ctx, wait); serr != nil {
			return serr
		}
		err = w.f.Close()
	}
	return err
}

// verify compares with what the NameNode has. An error of Close is forgiven when the file is closed and complete: then only the
// answer was lost.
func (w *hdfsWriter) verify(err error) error {
	if err != nil {
		if done, cerr := w.h.closed(w.ctx, w.path); cerr != nil || !done {
			return err
		}
	}
	s, serr := w.h.status(w.ctx, w.path)
	switch {
	case serr != nil:
		return errors.Join(err, serr)
	case s.GetFileId() != w.id:
		return errors.Join(err, fmt.Errorf("another file has its name: %w", fs.ErrNotExist))
	case int64(s.GetLength()) != w.size:
		return errors.Join(err, fmt.Errorf("%d bytes written, %d there: %w", w.size, s.GetLength(), ErrLength))
	}
	return nil
}

// Abort removes the file, which also ends its lease.
func (w *hdfsWriter) Abort() error {
	if w.clean {
		return nil
	}
	w.clean = true
	if !w.ended {
		w.giveUp(errors.New("the writer was aborted"))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortTimeout)
	defer cancel()
	s, err := w.h.status(ctx, w.path)
	if err == nil && (w.id == 0 || s.GetFileId() == w.id) {
		err = w.h.Delete(ctx, w.path, false)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return w.h.fail("abort", w.path, "", err)
}

// sleep waits or ends with the context.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retriable says whether another try at the same place may succeed: connections that broke and servers that did not answer.
func retriable(err error) bool {
	var ne net.Error
	var r *ipc.RemoteError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, errPoolClosed), errors.Is(err, os.ErrPermission):
		return false
	case errors.As(err, &r):
		return errors.Is(err, ipc.ErrStandby) || errors.Is(err, ipc.ErrRetriable)
	case errors.As(err, &ne), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return true
	}
	return kindOf(err) == nil
}
