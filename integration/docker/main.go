package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flott-dev/flott/integration/corpus"
	"github.com/flott-dev/flott/integration/hadoop"
)

func main() {
	// The own daemon ends with the thread that started it: this one, which lives as long as the process.
	runtime.LockOSThread()
	runner := flag.String("runner", "auto", "what reads compose.yaml: compose (docker compose), docker-compose, plain, or auto")
	prepare := flag.Bool("prepare", false, "only fetch into the cache what the self-made image needs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := start(ctx, *runner, *prepare)
	interrupted := ctx.Err() != nil
	stop()
	if interrupted && !errors.Is(err, errLeft) {
		fmt.Fprintln(os.Stderr, "demo-docker: interrupted; nothing is left running")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo-docker:", err)
		os.Exit(1)
	}
}

// errLeft says that something is still there that should be gone.
var errLeft = errors.New("something is left")

func start(ctx context.Context, runner string, prepare bool) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	d, err := newDemo(os.Stdout, root, runner)
	if err != nil {
		return err
	}
	if prepare {
		_, err := d.materials(ctx)
		return err
	}
	return d.run(ctx)
}

// demo is one run.
type demo struct {
	out     io.Writer
	want    string        // the runner asked for
	root    string        // of the module
	dir     string        // of logs and binaries
	cache   string        // of what later runs use again
	project string        // the name of this checkout's containers and networks
	docker  docker        // the client, with the daemon that it asks
	image   string        // what the containers run
	sources []corpus.File // the input
	runner  runner
	rm      *hadoop.RM // by the published port, once the containers run
	client  string     // the id of the client's container
}

func newDemo(out io.Writer, root, runner string) (*demo, error) {
	if _, err := os.Stat(filepath.Join(root, composeFile)); err != nil {
		return nil, fmt.Errorf("find %s, which is relative to the module's root: %w", composeFile, err)
	}
	sum := sha256.Sum256([]byte(root))
	d := &demo{out: out, want: runner, root: root, dir: filepath.Join(root, ".hadoop", "docker"),
		cache: filepath.Join(filepath.Dir(hadoop.DefaultCacheDir()), "docker"), project: "flott-demo-" + hex.EncodeToString(sum[:4])}
	if err := errors.Join(os.MkdirAll(d.bin(""), 0o755), os.MkdirAll(d.cache, 0o755)); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// progress shows what other packages tell.
func (d *demo) progress(line string) { d.say("  %s", line) }

func (d *demo) bin(name string) string { return filepath.Join(d.dir, "bin", name) }

// lock keeps a second demo of this checkout away from the first one's containers.
func lock(dir string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another demo runs there")
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

func (d *demo) run(ctx context.Context) (err error) {
	unlock, err := lock(d.dir)
	if err != nil {
		return err
	}
	defer unlock()
	began := time.Now()
	stopDaemon, err := d.findDaemon(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopDaemon()) }()
	if err := d.sweep(ctx); err != nil { // of a run that was killed
		return err
	}
	if d.runner, err = d.chooseRunner(ctx); err != nil {
		return err
	}
	if err := d.make(ctx); err != nil {
		return err
	}
	defer func() {
		// Also after Ctrl-C, hence not bound to ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		err = errors.Join(err, d.takeDown(ctx))
	}()
	if err := d.bringUp(ctx); err != nil {
		return err
	}
	d.say("ready after %s: YARN %s, in the containers hdfs://namenode:8020", since(began), d.rm.URL)
	return d.job(ctx)
}

// make compiles, lists the input and finds or builds the image, all at once.
func (d *demo) make(ctx context.Context) error {
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return d.compile(both, "./bin/flott", "./examples/wordcount") })
	g.Go(func() (err error) { d.sources, err = goSources(both); return err })
	g.Go(func() (err error) { d.image, err = d.chooseImage(both); return err })
	return g.Wait()
}

// compile makes static binaries, which run in any image.
func (d *demo) compile(ctx context.Context, packages ...string) error {
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", d.bin("") + string(filepath.Separator)}, packages...)
	_, err := command{name: "go", args: args, env: []string{"CGO_ENABLED=0"}}.output(ctx)
	return err
}

func (d *demo) bringUp(ctx context.Context) error {
	d.say("starting the containers of %s, project %s, with %s", composeFile, d.project, d.runner.name())
	if err := d.runner.up(ctx); err != nil {
		return err
	}
	return d.awaitReady(ctx)
}

func (d *demo) takeDown(ctx context.Context) error {
	err := d.runner.down(ctx)
	if err := errors.Join(err, d.sweep(ctx)); err != nil {
		return fmt.Errorf("%w: containers or networks with the label %s=%s: %w", errLeft, projectLabel, d.project, err)
	}
	d.say("containers and network of %s are removed", d.project)
	return nil
}

func since(t time.Time) string { return fmt.Sprintf("%.1f s", time.Since(t).Seconds()) }
