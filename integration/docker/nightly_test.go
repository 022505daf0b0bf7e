//go:build nightly

package main

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDemo runs the whole demo on plain docker. It takes a minute or two once the image is in the cache, and needs what the demo needs.
func TestDemo(t *testing.T) {
	runtime.LockOSThread() // see main
	defer runtime.UnlockOSThread()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	var out strings.Builder
	d, err := newDemo(&out, root, "plain")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{"YARN final status SUCCEEDED", "as counted here too", "Phases: ", "are removed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, &out)
		}
	}
}
