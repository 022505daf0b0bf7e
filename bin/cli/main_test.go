package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// programs are built once for all tests.
var programs struct {
	dir  string
	once sync.Once
	err  error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "flott-cli-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// program is the path of a binary built from testdata.
func program(t *testing.T, name string) string {
	t.Helper()
	programs.once.Do(func() {
		cmd := exec.Command("go", "build", "-o", programs.dir+"/", "./testdata/job", "./testdata/plain")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			programs.err = errors.New(string(out))
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return filepath.Join(programs.dir, name)
}

// output is written by the command and read by the test at the same time.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	grown chan struct{} // closed when something was added; nil when nobody waits
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown != nil {
		close(o.grown)
		o.grown = nil
	}
	return o.buf.Write(p)
}

// await waits until the output contains text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	over := time.After(patience)
	for {
		o.mu.Lock()
		if o.grown == nil {
			o.grown = make(chan struct{})
		}
		grown, found := o.grown, strings.Contains(o.buf.String(), text)
		o.mu.Unlock()
		if found {
			return
		}
		select {
		case <-grown:
		case <-over:
			t.Fatalf("the output never contains %q", text)
		}
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// console is what surrounds a command in tests.
type console struct {
	out, err output
	environ  []string
	signals  chan os.Signal
	columns  int
}

func newConsole(environ ...string) *console {
	return &console{environ: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, environ...), signals: make(chan os.Signal, 2)}
}

func (c *console) env() Env {
	return Env{
		Stdin: strings.NewReader(""), Stdout: &c.out, Stderr: &c.err, Environ: c.environ, Signals: c.signals, Columns: c.columns,
		Exit: func(int) {}, Version: Version{Release: "1.2.3", Go: "go1.26", Platform: "linux/amd64"},
	}
}

func (c *console) run(ctx context.Context, args ...string) int { return Main(ctx, c.env(), args) }

// contains checks every wanted part.
func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: got %q, want it to contain %q", what, text, p)
		}
	}
}
