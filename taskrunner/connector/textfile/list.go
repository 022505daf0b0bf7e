package textfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/flott-dev/flott/yarn/dfs"
)

const (
	// maxSplit bounds a split where the file system has no blocks, or very large ones.
	maxSplit = 256 << 20
	// minSplit is the least length into which a file is cut so that every subtask gets some.
	minSplit = 8 << 20
	// splitsEach is how many splits every subtask should find, so that a fast one does not wait for a slow one.
	splitsEach = 16
	// maxLocated bounds how many files are asked for their hosts: one call each.
	maxLocated = 2000
)

// file is one file to read.
type file struct {
	fsys dfs.FS
	info dfs.FileInfo
}

// list finds the files that the paths name, each once, in the order of the paths and then by name.
func list(ctx context.Context, r dfs.Resolver, paths []string) ([]file, error) {
	var out []file
	seen := make(map[string]bool)
	add := func(fsys dfs.FS, info dfs.FileInfo) {
		if uri := fsys.URI(info.Path); !seen[uri] && !info.IsDir {
			seen[uri] = true
			out = append(out, file{fsys, info})
		}
	}
	for _, given := range paths {
		fsys, p, err := r.For(ctx, given)
		if err != nil {
			return nil, fmt.Errorf("read text files from %q: %w", given, err)
		}
		roots, err := match(ctx, fsys, p)
		if err != nil {
			return nil, fmt.Errorf("read text files from %q: %w", given, err)
		}
		for _, root := range roots {
			if !root.IsDir {
				add(fsys, root)
				continue
			}
			err := dfs.Walk(ctx, fsys, root.Path, dfs.WalkOptions{}, func(fi dfs.FileInfo) error {
				if fi.Path != root.Path && hidden(fi.Name()) {
					if fi.IsDir {
						return fs.SkipDir
					}
					return nil
				}
				add(fsys, fi)
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("read text files from %q: %w", given, err)
			}
		}
	}
	return out, nil
}

var (
	errNoInput = errors.New("there is no such file or directory")
	errNoMatch = errors.New("no file matches")
)

// match returns what a path names: one file or directory, or all that match it and are not hidden.
func match(ctx context.Context, fsys dfs.FS, p string) ([]dfs.FileInfo, error) {
	if !dfs.HasMeta(p) {
		fi, err := fsys.Stat(ctx, p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &inputError{fsys.URI(p), errNoInput, err}
		}
		return []dfs.FileInfo{fi}, err
	}
	all, err := dfs.Glob(ctx, fsys, p, 0)
	if err != nil {
		return nil, err
	}
	var out []dfs.FileInfo
	for _, fi := range all {
		if !hidden(fi.Name()) {
			out = append(out, fi)
		}
	}
	if len(out) == 0 {
		return nil, &inputError{fsys.URI(p), errNoMatch, fs.ErrNotExist}
	}
	return out, nil
}

// inputError says in few words that there is nothing to read, without the file system's own.
type inputError struct {
	uri  string
	kind error
	err  error
}

func (e *inputError) Error() string   { return e.uri + ": " + e.kind.Error() }
func (e *inputError) Unwrap() []error { return []error{e.kind, e.err} }

// hidden reports whether files of this name are not data, as Hadoop has it.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// cut makes the splits of all files: a compressed file is one; any other is cut at its blocks, and within a block into equal pieces when
// there would be too few for all subtasks. size, if positive, is the length of every split instead.
func cut(files []file, parallelism int, size int64) []split {
	var total int64
	for _, f := range files {
		total += f.info.Size
	}
	want := max(total/int64(max(parallelism, 1)*splitsEach), minSplit)
	var out []split
	for _, f := range files {
		s := split{URI: f.fsys.URI(f.info.Path), Size: f.info.Size, Mtime: f.info.ModTimeMillis,
			Gzip: strings.HasSuffix(strings.ToLower(f.info.Name()), ".gz")}
		for s.Offset < s.Size {
			s.Length = s.Size - s.Offset
			if !s.Gzip {
				s.Length = min(s.Length, pieceAt(s.Offset, f.info, want, size))
			}
			s.makeID()
			out = append(out, s)
			s.Offset += s.Length
		}
	}
	return out
}

// pieceAt is the length of the split at an offset.
func pieceAt(offset int64, info dfs.FileInfo, want, size int64) int64 {
	if size > 0 {
		return size
	}
	block := info.BlockSize
	if block < minSplit || block > maxSplit {
		block = maxSplit
	}
	// The block's remaining bytes, in pieces of about the wanted length.
	rest := min(block-offset%block, info.Size-offset)
	pieces := max((rest+want-1)/want, 1)
	return (rest + pieces - 1) / pieces
}

// locate adds the hosts to the splits of large files; where that fails, reading goes over the network.
func locate(ctx context.Context, files []file, splits []split) error {
	byURI := make(map[string][]dfs.BlockLocation)
	asked := 0
	for _, f := range files {
		if f.info.Size < minSplit || asked == maxLocated {
			continue
		}
		asked++
		blocks, err := dfs.BlockLocations(ctx, f.fsys, f.info.Path, 0, f.info.Size)
		if err != nil {
			return err
		}
		byURI[f.fsys.URI(f.info.Path)] = blocks
	}
	for i := range splits {
		s := &splits[i]
		for _, b := range byURI[s.URI] {
			if b.Offset <= s.Offset && s.Offset < b.Offset+b.Length {
				s.Hosts = b.Hosts
			}
		}
	}
	return nil
}
