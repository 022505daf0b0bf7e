package tfile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// inMemory is an Opener over bytes.
func inMemory(b []byte) Opener {
	return func(_ context.Context, offset int64) (io.ReadCloser, error) {
		if offset < 0 || offset > int64(len(b)) {
			return nil, fmt.Errorf("offset %d of %d", offset, len(b))
		}
		return io.NopCloser(bytes.NewReader(b[offset:])), nil
	}
}

// The files in testdata were written by TFile.Writer of Hadoop 3.5.0 on JDK 17, with blocks of 256 bytes and chunks of 300.
func TestLogsOfHadoop(t *testing.T) {
	for _, name := range []string{"none", "gz"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile("testdata/" + name + ".tfile")
			if err != nil {
				t.Fatal(err)
			}
			f, err := Open(t.Context(), int64(len(b)), inMemory(b))
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			err = f.Logs(t.Context(), func(l Log, content io.Reader) error {
				text, err := io.ReadAll(content)
				got = append(got, fmt.Sprintf("%s %s %d %s", l.Container, l.Name, l.Size, text))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= 3; n++ {
				var text strings.Builder
				for i := range n * 60 {
					fmt.Fprintf(&text, "line %d of %d\n", i, n)
				}
				container := fmt.Sprintf("container_1700000000000_0001_01_%06d", n)
				want = append(want, container+" stderr 0 ", fmt.Sprintf("%s taskmanager.log %d %s", container, text.Len(), text.String()))
			}
			if strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("logs: got %q, want %q", got, want)
			}
		})
	}
}

func TestLogsThatAreNotReadAreSkipped(t *testing.T) {
	b, err := os.ReadFile("testdata/none.tfile")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(t.Context(), int64(len(b)), inMemory(b))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := f.Logs(t.Context(), func(_ Log, content io.Reader) error {
		n++
		_, err := io.ReadFull(content, make([]byte, min(n-1, 3))) // some of it, or nothing
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = nil
		}
		return err
	}); err != nil || n != 6 {
		t.Errorf("got %d files, %v, want 6", n, err)
	}
	enough := errors.New("enough")
	if err := f.Logs(t.Context(), func(Log, io.Reader) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("an error of the caller: got %v", err)
	}
}

// Written by Java's Utils.writeVLong.
func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		hex  string
		want int64
	}{
		{"00", 0}, {"01", 1}, {"ff", -1}, {"e0", -32}, {"cbdf", -33}, {"7f", 127}, {"cc80", 128}, {"cb80", -128}, {"ddff", 4607}, {"de00", 4608},
		{"ba00", -4608}, {"b9ff", -4609}, {"b00000", 524288}, {"90100007", 1048583}, {"980000", -1048576}, {"97ffffff", 134217727},
		{"8308000000", 134217728}, {"83f7ffffff", -134217729}, {"837fffffff", 2147483647}, {"8380000000", -2147483648},
		{"840080000000", 2147483648}, {"85008000000000", 549755813888}, {"85ff7fffffffff", -549755813889}, {"8600800000000000", 140737488355328},
		{"85800000000000", -140737488355328}, {"870080000000000000", 36028797018963968}, {"87ff7fffffffffffff", -36028797018963969},
		{"877fffffffffffffff", 9223372036854775807}, {"878000000000000000", -9223372036854775808},
	} {
		b, err := hex.DecodeString(tc.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readVLong(bufio.NewReader(bytes.NewReader(b))); err != nil || got != tc.want {
			t.Errorf("%s: got %d, %v, want %d", tc.hex, got, err, tc.want)
		}
		if _, err := readVLong(bufio.NewReader(bytes.NewReader(b[:len(b)-1]))); err == nil {
			t.Errorf("%s cut short: got no error", tc.hex)
		}
	}
	if _, err := readVInt(bufio.NewReader(bytes.NewReader([]byte{0x84, 0, 0x80, 0, 0, 0}))); err == nil {
		t.Error("an int of 33 bits: got no error")
	}
	if _, err := readVLong(bufio.NewReader(bytes.NewReader([]byte{0x80, 1, 1, 1, 1}))); err == nil {
		t.Error("a number of one byte in the long form: got no error")
	}
}

func TestDamagedFiles(t *testing.T) {
	whole, err := os.ReadFile("testdata/none.tfile")
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(whole)) }
	index := binary.BigEndian.Uint64(whole[len(whole)-tailSize:])
	for name, b := range map[string][]byte{
		"empty":            {},
		"cut at the end":   whole[:len(whole)-1],
		"another magic":    edit(func(b []byte) []byte { b[len(b)-1]++; return b }),
		"another version":  edit(func(b []byte) []byte { b[len(b)-tailSize+9]++; return b }),
		"index far away":   edit(func(b []byte) []byte { binary.BigEndian.PutUint64(b[len(b)-tailSize:], 1<<62); return b }),
		"index before all": edit(func(b []byte) []byte { binary.BigEndian.PutUint64(b[len(b)-tailSize:], 1<<63); return b }),
		"fewer than none":  edit(func(b []byte) []byte { b[index] = 0xff; return b }),
		"no meta blocks":   edit(func(b []byte) []byte { b[index] = 0; return b }),
	} {
		if _, err := Open(t.Context(), int64(len(b)), inMemory(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
	lzo := bytes.Replace(whole, []byte("\x04none"), []byte("\x04lzo1"), -1)
	if f, err := Open(t.Context(), int64(len(lzo)), inMemory(lzo)); !errors.Is(err, ErrCompression) {
		t.Errorf("unknown compression: got %v, %v, want ErrCompression", f, err)
	}
}

func FuzzLogs(f *testing.F) {
	for _, name := range []string{"none", "gz"} {
		b, err := os.ReadFile("testdata/" + name + ".tfile")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Open(t.Context(), int64(len(b)), inMemory(b))
		if err != nil {
			return
		}
		if len(file.blocks) > 100 { // each may lie over the others, which takes time but no memory
			return
		}
		_ = file.Logs(t.Context(), func(l Log, content io.Reader) error {
			n, err := io.Copy(io.Discard, content)
			if n > l.Size {
				t.Errorf("%s: got %d bytes of %d", l.Name, n, l.Size)
			}
			return err
		})
	})
}
