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

// TestHDFSLargeFile writes and reads 1 GiB, which spans blocks, with the size told beforehand and without.
func TestHDFSLargeFile(t *testing.T) {
	const size = 1 << 30
	f, dir := scratch(t, files(t, "alice"))
	for name, expected := range map[string]int64{"size unknown": 0, "size known": size} {
		t.Run(name, func(t *testing.T) {
			p := path.Join(dir, path.Base(t.Name()))
			w, err := f.Create(t.Context(), p, dfs.CreateOptions{ExpectedSize: expected})
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
			if err != nil || len(locations) < 2 {
				t.Errorf("block locations: got %d, %v, want several", len(locations), err)
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
