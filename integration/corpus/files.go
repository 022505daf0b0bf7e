package corpus

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/flott-dev/flott/yarn/dfs"
)

// File is one text.
type File struct {
	Name string // without directories
	Size int64  // bytes
	open func() (io.ReadCloser, error)
}

// Open yields the bytes; those of a file whose name ends in .gz are compressed.
func (f File) Open() (io.ReadCloser, error) { return f.open() }

// Words counts the words of the text, decompressed.
func (f File) Words() (Counts, error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var text io.Reader = r
	if strings.HasSuffix(f.Name, ".gz") {
		if text, err = gzip.NewReader(r); err != nil {
			return nil, fmt.Errorf("decompress %s: %w", f.Name, err)
		}
	}
	c := Counts{}
	return c, c.Add(text)
}

// Words counts all files, several at once.
func Words(ctx context.Context, files []File) (Counts, error) {
	const workers = 2
	parts := make([]Counts, workers)
	g, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		parts[w] = Counts{}
		g.Go(func() error {
			for i := w; i < len(files) && ctx.Err() == nil; i += workers {
				c, err := files[i].Words()
				if err != nil {
					return err
				}
				parts[w].Merge(c)
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, p := range parts[1:] {
		parts[0].Merge(p)
	}
	return parts[0], nil
}

func text(name string, data []byte) File {
	return File{name, int64(len(data)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// repeated is a text of size bytes that repeats data.
func repeated(name string, data []byte, size int64) File {
	return File{name, size, func() (io.ReadCloser, error) {
		whole := make([]io.Reader, 0, size/int64(len(data))+1)
		for left := size; left > 0; left -= int64(len(data)) {
			whole = append(whole, bytes.NewReader(data[:min(left, int64(len(data)))]))
		}
		return io.NopCloser(io.MultiReader(whole...)), nil
	}}
}

// onDisk is a file of the local disk.
func onDisk(name, local string, size int64) File {
	return File{name, size, func() (io.ReadCloser, error) { return os.Open(local) }}
}

// GoSources returns all *.go files below a directory. Their names have the directories in them, with + between.
func GoSources(dir string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(p) != ".go" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		files = append(files, onDisk(strings.ReplaceAll(rel, string(filepath.Separator), "+"), p, info.Size()))
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there are no *.go files in %s", dir)
	}
	return files, err
}

// Names of the files that Inputs makes; those of the small ones follow Small.
const (
	Big     = "big.txt"
	Small   = "small-"
	Empty   = "empty.txt"
	NoEnd   = "no-final-newline.txt"
	Long    = "long-lines.txt"
	Invalid = "invalid-utf8.txt"
	Gzip    = "text.txt.gz"
)

// Inputs makes every kind of file that WordCount has to read right: one of bigSize bytes, small ones, an empty one, one without a final
// newline, one with lines of 1 MB, one that is no UTF-8, and one that is compressed, in two members.
func Inputs(bigSize int64, small int) []File {
	rnd := rand.New(rand.NewPCG(1, 2))
	words := vocabulary(rnd, 50_000)
	files := []File{
		repeated(Big, prose(rnd, words, 8<<20), bigSize),
		text(Empty, nil),
		text(NoEnd, []byte("the last\nline has no\tend")),
		text(Long, longLines(rnd, words)),
		text(Invalid, randomBytes(rnd, 1<<20)),
		text(Gzip, append(compress(prose(rnd, words, 3<<20)), compress(prose(rnd, words, 1<<20))...)),
	}
	for i := range small {
		files = append(files, text(fmt.Sprintf("%s%04d.txt", Small, i), prose(rnd, words, 100+rnd.IntN(3000))))
	}
	return files
}

func vocabulary(rnd *rand.Rand, n int) []string {
	words := make([]string, n)
	for i := range words {
		b := make([]byte, 1+rnd.IntN(12))
		for j := range b {
			b[j] = byte('a' + rnd.IntN(26))
		}
		words[i] = string(b)
	}
	return words
}

// prose is about size bytes of lines whose words are mostly common ones, with every kind of white space; its last line has an end.
func prose(rnd *rand.Rand, words []string, size int) []byte {
	spaces := []string{" ", " ", " ", " ", " ", " ", "\t", "  ", "\v", "\f", "\n", "\n", "\r\n", "\n\n"}
	b := make([]byte, 0, size+64)
	for len(b) < size {
		// The square of a uniform number: small numbers are common.
		x := rnd.Float64()
		b = append(b, words[int(x*x*float64(len(words)))]...)
		b = append(b, spaces[rnd.IntN(len(spaces))]...)
	}
	return append(b, '\n')
}

// longLines has lines of 1 MB: many words, one word, and only white space.
func longLines(rnd *rand.Rand, words []string) []byte {
	const size = 1 << 20
	line := bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, prose(rnd, words, size))
	return bytes.Join([][]byte{line, bytes.Repeat([]byte("x"), size), bytes.Repeat([]byte(" "), size), line, nil}, []byte{'\n'})
}

func randomBytes(rnd *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return append(b, '\n')
}

func compress(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	// A bytes.Buffer takes everything.
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// uploads is how many files are written at once: a small file is mostly waiting, for three answers of the NameNode and one of a DataNode.
const uploads = 16

// Upload writes files into a directory that exists.
func Upload(ctx context.Context, fsys dfs.FS, dir string, files []File) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for _, f := range files {
		g.Go(func() error { return upload(ctx, fsys, path.Join(dir, f.Name), f) })
	}
	return g.Wait()
}

func upload(ctx context.Context, fsys dfs.FS, name string, f File) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := f.open()
	if err != nil {
		return fmt.Errorf("upload %s: %w", f.Name, err)
	}
	defer r.Close()
	w, err := fsys.Create(ctx, name, dfs.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		w.Abort()
		return fmt.Errorf("upload %s: %w", f.Name, err)
	}
	return w.Close()
}

// Save writes files into a directory of the local disk.
func Save(dir string, files []File) error {
	for _, f := range files {
		if err := save(filepath.Join(dir, f.Name), f); err != nil {
			return err
		}
	}
	return nil
}

func save(name string, f File) error {
	r, err := f.open()
	if err != nil {
		return fmt.Errorf("save %s: %w", f.Name, err)
	}
	defer r.Close()
	w, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
