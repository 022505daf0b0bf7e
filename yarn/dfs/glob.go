package dfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
)

const (
	// maxBraces bounds the number of patterns that {a,b} may expand to.
	maxBraces = 1024
	// DefaultMaxEntries bounds what Glob matches and Walk visits when no bound is given.
	DefaultMaxEntries = 1_000_000
	// DefaultMaxDepth bounds how deep Walk goes when no bound is given.
	DefaultMaxDepth = 100
)

// ErrTooMany: a Glob or Walk met more entries, or went deeper, than allowed.
var ErrTooMany = errors.New("too many entries")

// HasMeta says whether a path is a pattern.
func HasMeta(p string) bool { return strings.ContainsAny(p, `*?[{\`) }

// Glob returns what matches the pattern, sorted by path, without duplicates; nothing matching is no error. `*` and `?` stay within a
// path element, `[a-c]`, `[^a]` and `[!a]` are character classes, `{a,b}` alternatives (they may hold slashes), `\` takes the next
// character literally. max bounds the matches (0: DefaultMaxEntries). Java: FileSystem.globStatus.
func Glob(ctx context.Context, fsys FS, pattern string, max int) ([]FileInfo, error) {
	if max <= 0 {
		max = DefaultMaxEntries
	}
	pats, err := expandBraces(pattern)
	if err != nil {
		return nil, &Error{Op: "glob", Path: pattern, Kind: fs.ErrInvalid, Err: err}
	}
	found := map[string]FileInfo{}
	for _, p := range pats {
		if p, err = cleanPath("glob", p); err != nil {
			return nil, err
		}
		elems := strings.Split(strings.TrimPrefix(p, "/"), "/")
		if p == "/" {
			elems = nil
		}
		for i, e := range elems {
			elems[i] = strings.ReplaceAll(e, "[!", "[^")
			if _, err := path.Match(elems[i], ""); err != nil {
				return nil, &Error{Op: "glob", Path: pattern, Kind: fs.ErrInvalid, Err: fmt.Errorf("malformed pattern %q: %w", e, err)}
			}
		}
		if err := globInto(ctx, fsys, "/", elems, max, found); err != nil {
			return nil, err
		}
	}
	out := make([]FileInfo, 0, len(found))
	for _, fi := range found {
		out = append(out, fi)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

// globInto matches the elements below dir. Elements without a wildcard are not listed, only joined.
func globInto(ctx context.Context, fsys FS, dir string, elems []string, max int, found map[string]FileInfo) error {
	for len(elems) > 0 && !HasMeta(elems[0]) {
		dir, elems = path.Join(dir, elems[0]), elems[1:]
	}
	if len(elems) == 0 {
		fi, err := fsys.Stat(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotDirectory) {
			return nil
		}
		if err != nil {
			return err
		}
		return addMatch(fi, max, found)
	}
	list, err := fsys.List(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotDirectory) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, fi := range list {
		ok, err := path.Match(elems[0], fi.Name())
		if err != nil {
			return &Error{Op: "glob", Path: elems[0], Kind: fs.ErrInvalid, Err: err}
		}
		switch {
		case !ok:
		case len(elems) == 1:
			err = addMatch(fi, max, found)
		case fi.IsDir:
			err = globInto(ctx, fsys, fi.Path, elems[1:], max, found)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func addMatch(fi FileInfo, max int, found map[string]FileInfo) error {
	found[fi.Path] = fi
	if len(found) > max {
		return &Error{Op: "glob", Path: fi.Path, Kind: ErrTooMany, Err: fmt.Errorf("more than %d matches", max)}
	}
	return nil
}

// expandBraces turns {a,b} alternatives (nested too) into a list of patterns without braces.
func expandBraces(p string) ([]string, error) {
	todo, out := []string{p}, []string(nil)
	for len(todo) > 0 {
		cur := todo[0]
		todo = todo[1:]
		open, end, commas, err := firstBrace(cur)
		if err != nil {
			return nil, err
		}
		if open < 0 {
			out = append(out, cur)
		} else {
			start := open + 1
			for _, c := range append(commas, end) {
				todo = append(todo, cur[:open]+cur[start:c]+cur[end+1:])
				start = c + 1
			}
		}
		if len(out)+len(todo) > maxBraces {
			return nil, fmt.Errorf("alternatives in braces expand to more than %d patterns", maxBraces)
		}
	}
	return out, nil
}

// firstBrace finds the first brace group: its ends and the commas on its own level.
func firstBrace(p string) (open, end int, commas []int, err error) {
	open, depth, class := -1, 0, false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '{':
			if depth++; depth == 1 {
				open = i
			}
		case c == ',' && depth == 1:
			commas = append(commas, i)
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				return open, i, commas, nil
			}
		}
	}
	if depth > 0 {
		return 0, 0, nil, errors.New("a brace is not closed")
	}
	return -1, 0, nil, nil
}

// WalkOptions bounds a Walk; the zero value uses the defaults.
type WalkOptions struct {
	// MaxEntries visited, MaxDepth below the root; more is ErrTooMany.
	MaxEntries, MaxDepth int
}

// Walk visits root and everything below it, parents first, in the order of names. When visit answers fs.SkipDir for a directory
// its entries are left out; any other error ends the walk. What vanishes meanwhile is left out; an absent root is an error.
func Walk(ctx context.Context, fsys FS, root string, o WalkOptions, visit func(FileInfo) error) error {
	if o.MaxEntries <= 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = DefaultMaxDepth
	}
	fi, err := fsys.Stat(ctx, root)
	if err != nil {
		return err
	}
	left := o.MaxEntries
	return walk(ctx, fsys, fi, o, 0, &left, visit)
}

func walk(ctx context.Context, fsys FS, fi FileInfo, o WalkOptions, depth int, left *int, visit func(FileInfo) error) error {
	if *left--; *left < 0 {
		return &Error{Op: "walk", Path: fi.Path, Kind: ErrTooMany, Err: fmt.Errorf("more than %d entries", o.MaxEntries)}
	}
	if depth > o.MaxDepth {
		return &Error{Op: "walk", Path: fi.Path, Kind: ErrTooMany, Err: fmt.Errorf("deeper than %d directories", o.MaxDepth)}
	}
	err := visit(fi)
	if !fi.IsDir || err != nil {
		if fi.IsDir && errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	list, err := fsys.List(ctx, fi.Path)
	if depth > 0 && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := walk(ctx, fsys, c, o, depth+1, left, visit); err != nil {
			return err
		}
	}
	return nil
}
