//go:build nightly

package wire

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/flott-dev/flott/yarn/dfs"
)

// TestHDFSLargeFile writes and reads 1 GiB: in several blocks, and with the size told beforehand in one.
func TestHDFSLargeFile(t *testing.T) {
	const size = 1 << 30
	f, dir := scratch(t, files(t, "alice"))
	for name, tt := range map[string]struct {
		expected int64
		oneBlock bool
	}{"size unknown": {0, false}, "size known": {size, true}} {
		t.Run(name, func(t *testing.T) {
			p := path.Join(dir, path.Base(t.Name()))
			w, err := f.Create(t.Context(), p, dfs.CreateOptions{ExpectedSize: tt.expected})
			if err != nil {
				t.Fatal(err)
			}
			written, read := sha256.New(), sha256.New()
			src := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{7}), size), written)
			if _, err := io.CopyBuffer(struct{ io.Writer }{w}, src, make([]byte, 256<<10)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			locations, err := dfs.BlockLocations(t.Context(), f, p, 0, size)
			if err != nil || (len(locations) == 1) != tt.oneBlock {
				t.Errorf("blocks: got %d, %v, want one: %v", len(locations), err, tt.oneBlock)
			}
			r, err := f.Open(t.Context(), p, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if n, err := io.CopyBuffer(struct{ io.Writer }{read}, struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil || n != size {
				t.Fatalf("read: got %d bytes, %v, want %d", n, err, size)
			}
			if !bytes.Equal(read.Sum(nil), written.Sum(nil)) {
				t.Error("what was read is not what was written")
			}
		})
	}
}
