package main

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flott-dev/flott/integration/corpus"
	"github.com/flott-dev/flott/integration/transcript"
	"github.com/flott-dev/flott/yarn/dfs"
)

const (
	parallelism = 4
	slots       = 2 // per worker, so 2 workers
	topWords    = 10
	// place is the folder of the client's container into which binaries and input are copied; input and output are in HDFS.
	place  = "/tmp/flott"
	input  = "/go-sources"
	output = "/word-counts"
)

// memory makes the application fit where little is free.
var memory = []string{
	"-Djobmanager.memory.process.size=640m", "-Djobmanager.memory.jvm-metaspace.size=64m", "-Djobmanager.memory.jvm-overhead.min=64m",
	"-Dtaskmanager.memory.process.size=1g", "-Dtaskmanager.memory.jvm-metaspace.size=64m", "-Dtaskmanager.memory.jvm-overhead.min=64m",
}

func goSources(ctx context.Context) ([]corpus.File, error) {
	root, err := command{name: "go", args: []string{"env", "GOROOT"}}.output(ctx)
	if err != nil {
		return nil, fmt.Errorf("find Go's sources: %w", err)
	}
	return corpus.GoSources(filepath.Join(root, "src"))
}

// job puts the input into HDFS, runs WordCount in the client's container, and shows what came of it.
func (d *demo) job(ctx context.Context) error {
	began := time.Now()
	bundles := bundle(d.sources)
	var words corpus.Counts
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := d.copyIn(both, bundles); err != nil {
			return err
		}
		_, err := d.inClient(nil, "hdfs", "dfs", "-put", place+input, input).output(both)
		return err
	})
	g.Go(func() (err error) { words, err = corpus.Words(both, d.sources); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	d.say("Go's sources, %d files in %d, are in hdfs://namenode:8020%s after %s", len(d.sources), len(bundles), input, since(began))
	app, phases, err := d.wordCount(ctx)
	if err != nil {
		return err
	}
	if err := d.result(ctx, words); err != nil {
		return err
	}
	return d.report(ctx, app, phases)
}

// inClient is a command in the client's container. What it prints on standard output goes to out, or is kept.
func (d *demo) inClient(out io.Writer, args ...string) command {
	cmd := d.docker.command(append([]string{"exec", "--env", "HADOOP_CONF_DIR=/opt/hadoop/etc/hadoop", "--workdir", place, d.client}, args...)...)
	cmd.stdout = out
	return cmd
}

// part is one file of the input: several texts, one after the other, each followed by a line break.
type part struct {
	name  string
	size  int64
	files []corpus.File
}

// bundle puts all files of a directory of the first level into one: Hadoop's client needs long for thousands of small ones.
func bundle(files []corpus.File) []part {
	byName := map[string]*part{}
	var order []*part
	for _, f := range files {
		first, _, _ := strings.Cut(f.Name, "+")
		p := byName[first]
		if p == nil {
			p = &part{name: strings.TrimSuffix(first, ".go") + ".txt"}
			byName[first] = p
			order = append(order, p)
		}
		p.size += f.Size + 1
		p.files = append(p.files, f)
	}
	parts := make([]part, 0, len(order))
	for _, p := range order {
		parts = append(parts, *p)
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	return parts
}

// copyIn streams binaries and input into the client's container, which needs no folder in common with this machine.
func (d *demo) copyIn(ctx context.Context, parts []part) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(d.pack(w, parts)) }()
	cmd := d.docker.command("cp", "-", d.client+":/tmp")
	cmd.stdin = r
	_, err := cmd.output(ctx)
	r.Close()
	if err != nil {
		return fmt.Errorf("copy binaries and input into the client's container: %w", err)
	}
	return nil
}

func (d *demo) pack(w io.Writer, parts []part) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	t := tar.NewWriter(buffered)
	top := strings.TrimPrefix(place, "/tmp/")
	for _, dir := range []string{top, top + input} {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, name := range []string{"flott", "wordcount"} {
		r, size, err := entry{local: d.bin(name)}.open()
		if err != nil {
			return err
		}
		err = t.WriteHeader(&tar.Header{Name: top + "/" + name, Mode: 0o755, Size: size})
		if err == nil {
			_, err = io.Copy(t, r)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if err := t.WriteHeader(&tar.Header{Name: top + input + "/" + p.name, Mode: 0o644, Size: p.size}); err != nil {
			return err
		}
		for _, f := range p.files {
			r, err := f.Open()
			if err != nil {
				return err
			}
			_, err = io.Copy(t, io.MultiReader(r, strings.NewReader("\n"))) // some files do not end in one
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
		}
	}
	return errors.Join(t.Close(), buffered.Flush())
}

// wordCount runs the job as a user would and returns the application's id and the command's line about phases.
func (d *demo) wordCount(ctx context.Context) (app, phases string, err error) {
	args := append([]string{"run", "-t", "yarn-application", "-p", fmt.Sprint(parallelism), fmt.Sprintf("-Dtaskmanager.numberOfTaskSlots=%d", slots)},
		memory...)
	args = append(args, "./wordcount", "--input", input, "--output", output)
	d.say("\nclient$ flott %s", strings.Join(args, " "))
	t := transcript.New(d.out)
	cmd := d.inClient(t, append([]string{"./flott"}, args...)...)
	cmd.stderr = t
	_, err = cmd.output(ctx)
	return t.Result(err)
}

// result fetches what the job wrote with Hadoop's own client, compares it with the count of this process, and shows the commonest words.
func (d *demo) result(ctx context.Context, want corpus.Counts) error {
	if _, err := d.inClient(nil, "hdfs", "dfs", "-get", output, place+output).output(ctx); err != nil {
		return err
	}
	local := filepath.Join(d.dir, "result")
	if err := os.RemoveAll(local); err != nil {
		return err
	}
	defer os.RemoveAll(local)
	if _, err := d.docker.run(ctx, "cp", d.client+":"+place+output, local); err != nil {
		return err
	}
	got, err := corpus.ReadResult(ctx, dfs.NewLocal(), local)
	if err != nil {
		return err
	}
	if err := got.Diff(want); err != nil {
		return fmt.Errorf("the job's result is not what this process counted: %w", err)
	}
	d.say("\n%d words, %d of them distinct, as counted here too. The %d commonest:", got.Total(), len(got), topWords)
	for _, w := range got.Top(topWords) {
		d.say("%12d  %s", w.Count, w.Text)
	}
	return nil
}

// report says how YARN saw the application.
func (d *demo) report(ctx context.Context, app, phases string) error {
	a, err := d.rm.App(ctx, app)
	if err != nil {
		return err
	}
	d.say("\n%s: YARN final status %s (%s), its ApplicationMaster at %s", app, a.FinalStatus, a.Diagnostics, a.AMRPCAddress)
	d.say("%s", phases)
	text, err := d.inClient(nil, "./flott", "logs", app).output(ctx)
	if err != nil {
		return err
	}
	name := filepath.Join(d.dir, app+".log")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
		return fmt.Errorf("keep the logs of %s: %w", app, err)
	}
	d.say("logs: %s (from `flott logs %s` in the client)", name, app)
	if a.FinalStatus != "SUCCEEDED" {
		return errors.New("the application did not succeed")
	}
	return nil
}
