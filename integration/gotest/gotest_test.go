package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReport(t *testing.T) {
	for _, tc := range []struct {
		name, events string
		want         []string
		ok           bool
	}{
		{
			name: "all pass",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"p","Elapsed":0.2}`,
			want: []string{"ok     p: 2 tests, 0.2s", "2 passed, 0 failed, 0 skipped"},
			ok:   true,
		},
		{
			name: "a failure shows its output",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			want: []string{"got 1, want 2", "FAIL   p TestA", "0 passed, 1 failed, 0 skipped"},
		},
		{
			name:   "a skip fails the run",
			events: "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"TestA\"}\n{\"Action\":\"skip\",\"Package\":\"p\",\"Test\":\"TestB\"}\n{\"Action\":\"pass\",\"Package\":\"p\"}",
			want:   []string{"SKIP   p TestB", "1 passed, 0 failed, 1 skipped"},
		},
		{
			name: "a package that does not build",
			events: `{"Action":"build-output","ImportPath":"p [p.test]","Output":"x.go:1: undefined: y\n"}
{"Action":"build-fail","ImportPath":"p [p.test]"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			want: []string{"undefined: y", "0 passed, 1 failed, 0 skipped"},
		},
		{
			name: "a panic takes the running tests along",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}`,
			want: []string{"panic: boom", "TestA did not end", "0 passed, 1 failed, 0 skipped"},
		},
		{name: "no tests at all", events: "", want: []string{"0 passed, 0 failed, 0 skipped"}},
		{name: "an end without the package's", events: `{"Action":"run","Package":"p","Test":"TestA"}`, want: []string{"p did not end", "0 passed, 1 failed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(tc.events)); err != nil {
				t.Fatal(err)
			}
			err := r.finish()
			if (err == nil) != tc.ok || (err != nil && !errors.Is(err, errTests)) {
				t.Errorf("finish: got %v, want success %v", err, tc.ok)
			}
			for _, w := range tc.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("output lacks %q:\n%s", w, &out)
				}
			}
			if strings.Contains(out.String(), "quiet") {
				t.Errorf("output of a test that passed is shown:\n%s", &out)
			}
		})
	}
}

// A run that says nothing tells after a while what it is at.
func TestSilenceNamesWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := newReport(&out)
		in, events := io.Pipe()
		done := make(chan error)
		go func() { done <- r.read(in) }()
		fmt.Fprintln(events, `{"Action":"run","Package":"p","Test":"TestHangs"}`)
		time.Sleep(quiet + time.Second)
		events.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got, want := out.String(), "       still running: p TestHangs\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestProblemIsAFailure(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	r.problem(errors.New("missing: maven"))
	if err := r.finish(); err == nil || !strings.Contains(out.String(), "missing: maven") {
		t.Errorf("got %v and %q, want a failure that names maven", err, &out)
	}
}

func TestSplit(t *testing.T) {
	all := []pkg{
		{ImportPath: "m/plain", TestGoFiles: []string{"a_test.go"}, Imports: []string{"fmt"}},
		{ImportPath: "m/direct", XTestGoFiles: []string{"a_test.go"}, XTestImports: []string{hadoopTest}},
		{ImportPath: "m/helper", Imports: []string{hadoopTest}},
		{ImportPath: "m/indirect", TestGoFiles: []string{"a_test.go"}, TestImports: []string{"m/helper"}},
		{ImportPath: "m/untested"},
	}
	plain, real := split(all, all)
	if want := []string{"m/plain"}; !slices.Equal(plain, want) {
		t.Errorf("without Hadoop: got %v, want %v", plain, want)
	}
	if want := []string{"m/direct", "m/indirect"}; !slices.Equal(real, want) {
		t.Errorf("on Hadoop: got %v, want %v", real, want)
	}
}
