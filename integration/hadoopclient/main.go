// Command hadoopclient does by this tree's packages what javaclient does by Hadoop's own classes, so that the two can be measured beside each
// other:
//
//	hadoopclient put FILE PATH       writes a local file to HDFS, which must not have it yet
//	hadoopclient get PATH FILE       reads one
//	hadoopclient ipc CALLERS CALLS   asks the YARN ResourceManager for the cluster's metrics, all callers on one connection
//
// HADOOP_CONF_DIR names the cluster. It prints one line of JSON: what was done, in how many seconds, and the CPU seconds of this process
// for it. integration/bench calls it; it is built as a job is, and holds the heap floor that a worker holds, so that it collects garbage as
// seldom as a task does that reads or writes HDFS.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/yarn/cluster"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/ugi"
)

// took is what the program prints.
type took struct {
	Bytes   int64   `json:"bytes,omitempty"`
	Calls   int64   `json:"calls,omitempty"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"` // seconds, user and system
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	floor := make([]byte, conf.HeapFloor)
	defer runtime.KeepAlive(floor)
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hadoopclient:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 3 {
		return errors.New("usage: hadoopclient put FILE PATH | get PATH FILE | ipc CALLERS CALLS")
	}
	hadoop, _, err := hadoopconf.Load(hadoopconf.Source{HadoopConfDir: os.Getenv("HADOOP_CONF_DIR")})
	if err != nil {
		return err
	}
	user, err := ugi.Simple(os.Environ(), nil)
	if err != nil {
		return err
	}
	c, err := cluster.Open(hadoop, user, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	var t took
	switch args[0] {
	case "put":
		t, err = measured(func() (took, error) { return put(ctx, c, args[1], args[2]) })
	case "get":
		t, err = measured(func() (took, error) { return get(ctx, c, args[1], args[2]) })
	case "ipc":
		t, err = ask(ctx, c, args[1], args[2])
	default:
		err = fmt.Errorf("no command %q", args[0])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(t)
}

// measured adds to what f did how long it took.
func measured(f func() (took, error)) (took, error) {
	begun, before := time.Now(), cpuSeconds()
	t, err := f()
	t.Seconds, t.CPU = time.Since(begun).Seconds(), cpuSeconds()-before
	return t, err
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with these arguments
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func put(ctx context.Context, c *cluster.Cluster, from, to string) (took, error) {
	src, err := os.Open(from)
	if err != nil {
		return took{}, err
	}
	defer src.Close()
	fsys, path, err := c.Files.For(ctx, to)
	if err != nil {
		return took{}, err
	}
	w, err := fsys.Create(ctx, path, dfs.CreateOptions{})
	if err != nil {
		return took{}, err
	}
	n, err := io.Copy(w, src)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return took{}, errors.Join(err, w.Abort())
	}
	return took{Bytes: n}, nil
}

func get(ctx context.Context, c *cluster.Cluster, from, to string) (took, error) {
	fsys, path, err := c.Files.For(ctx, from)
	if err != nil {
		return took{}, err
	}
	r, err := fsys.Open(ctx, path, 0)
	if err != nil {
		return took{}, err
	}
	defer r.Close()
	dst, err := os.Create(to)
	if err != nil {
		return took{}, err
	}
	n, err := io.Copy(dst, r)
	if err = errors.Join(err, dst.Close()); err != nil {
		return took{}, err
	}
	return took{Bytes: n}, nil
}

// ask makes the calls twice: the first round is for warming up, as the Java client needs it.
func ask(ctx context.Context, c *cluster.Cluster, callers, calls string) (took, error) {
	threads, err := strconv.Atoi(callers)
	if err != nil {
		return took{}, err
	}
	n, err := strconv.ParseInt(calls, 10, 64)
	if err != nil {
		return took{}, err
	}
	rm, err := c.ResourceManager()
	if err != nil {
		return took{}, err
	}
	round := func() (took, error) {
		var left atomic.Int64
		left.Store(n)
		var wg sync.WaitGroup
		failed := make([]error, threads)
		for i := range threads {
			wg.Go(func() {
				for failed[i] == nil && left.Add(-1) >= 0 {
					_, failed[i] = rm.Metrics(ctx)
				}
			})
		}
		wg.Wait()
		return took{Calls: n}, errors.Join(failed...)
	}
	if _, err := round(); err != nil {
		return took{}, err
	}
	return measured(round)
}
