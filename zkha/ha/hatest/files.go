// Package hatest has what tests put in place of the file system below the stores of package ha.
//
// Tests of the ApplicationMaster call it, from any goroutine. A Files behaves as yarn/dfs does where bin/roles fills ha.Files from it.
package hatest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

// Files is ha.Files in memory; the zero value is empty.
type Files struct {
	mu   sync.Mutex
	data map[string][]byte
}

// CreateOnce implements ha.Files.
func (f *Files) CreateOnce(_ context.Context, path string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.data[path]; ok {
		return fmt.Errorf("create %s: %w", path, fs.ErrExist)
	}
	if f.data == nil {
		f.data = make(map[string][]byte)
	}
	f.data[path] = data
	return nil
}

// Read implements ha.Files.
func (f *Files) Read(_ context.Context, path string, limit int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok := f.data[path]
	switch {
	case !ok:
		return nil, fmt.Errorf("read %s: %w", path, fs.ErrNotExist)
	case len(data) > limit:
		return nil, fmt.Errorf("read %s: %d bytes, at most %d are allowed", path, len(data), limit)
	}
	return data, nil
}

// Delete implements ha.Files.
func (f *Files) Delete(_ context.Context, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.data, path)
	return nil
}

// Paths returns the paths of all files, sorted.
func (f *Files) Paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.data))
}
