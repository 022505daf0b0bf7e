package dfs

import (
	"io"
	"testing"
)

// The DataNode of these benchmarks is the fake one in the same process: it keeps blocks in memory and computes checksums too.

const benchFile = 16 << 20

func BenchmarkHDFSWrite(b *testing.B) {
	h, nn := fakeCluster(b, nil)
	data := pattern(benchFile)
	b.SetBytes(benchFile)
	b.ReportAllocs()
	for b.Loop() {
		w, err := h.Create(b.Context(), "/f", CreateOptions{ExpectedSize: benchFile})
		if err != nil {
			b.Fatal(err)
		}
		if _, err = w.Write(data); err == nil {
			err = w.Close()
		}
		if err == nil {
			err = h.Delete(b.Context(), "/f", false)
		}
		if err != nil {
			b.Fatal(err)
		}
		nn.dn.forget()
	}
}

func BenchmarkHDFSRead(b *testing.B) {
	h, _ := fakeCluster(b, nil)
	if err := WriteFile(b.Context(), h, "/f", pattern(benchFile), 0o644); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	b.SetBytes(benchFile)
	b.ReportAllocs()
	for b.Loop() {
		r, err := h.Open(b.Context(), "/f", 0)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf)
		if err != nil || n != benchFile {
			b.Fatalf("got %d bytes, %v", n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
