package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/integration/hadoopclient/javaclient"
)

const (
	hadoopClientPackage = "./integration/hadoopclient"
	hdfsBytes           = 1 << 30
	ipcCallers          = 64
	ipcCalls            = 100_000
	// hdfsDir is where the files lie; everybody may write there.
	hdfsDir = "/tmp/"
)

// hadoopRows are what the clients of Hadoop cost: ours, and Hadoop's own beside them.
type hadoopRows struct {
	scale   float64
	cluster *hadoop.Cluster
	java    *javaclient.Java
	ours    string // the program
	data    string // a local file
	size    int64
	digest  [sha256.Size]byte
	there   map[string]bool // which files are in HDFS
	latest  map[string]float64
}

// hadoopGroups are the rows about HDFS and Hadoop IPC.
func hadoopGroups(scale float64) []group {
	h := &hadoopRows{scale: scale, there: make(map[string]bool), latest: make(map[string]float64)}
	return []group{h.writeGroup(), h.readGroup(), h.ipcGroup()}
}

// party is who copies.
type party struct {
	name, command string // command: with PUT or GET for what it is asked
	warm          bool   // prints what it took itself, without its start
	put, get      func(h *hadoopRows, local, remote string) program
}

const (
	byShell, byJava, byFlott = "by-fsshell", "by-java", "by-flott"
)

// parties are the ones that write and read, by the names of the files that they write.
var parties = map[string]party{
	byShell: {name: "FsShell", command: "hdfs dfs",
		put: func(h *hadoopRows, local, remote string) program {
			return h.program(h.java.FsShell("-put", local, remote))
		},
		get: func(h *hadoopRows, local, remote string) program {
			return h.program(h.java.FsShell("-get", remote, local))
		}},
	byJava: {name: "Java, in a warm JVM", command: "java HadoopClient copy", warm: true,
		put: func(h *hadoopRows, local, remote string) program {
			return h.program(h.java.Client("copy", "file://"+local, h.cluster.DefaultFS()+remote))
		},
		get: func(h *hadoopRows, local, remote string) program {
			return h.program(h.java.Client("copy", h.cluster.DefaultFS()+remote, "file://"+local))
		}},
	byFlott: {name: "yarn/dfs", command: "hadoopclient",
		put: func(h *hadoopRows, local, remote string) program {
			return h.program(h.ours, []string{"put", local, remote})
		},
		get: func(h *hadoopRows, local, remote string) program {
			return h.program(h.ours, []string{"get", remote, local})
		}},
}

const hdfsNote = "seconds are from the start of the process to its end; the loop is the copying alone"

func (h *hadoopRows) writeGroup() group {
	var g group
	for _, who := range []string{byShell, byJava, byFlott} {
		p := parties[who]
		g.cases = append(g.cases, benchCase{
			name: "HDFS write, 1 GiB, " + p.name, command: p.command + " put", note: hdfsNote, beside: besideShell(who, "write"),
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				if err := h.prepare(ctx, s); err != nil {
					return err
				}
				if err := h.write(ctx, who, row); err != nil {
					return err
				}
				return h.removeAfter(ctx, s, row, who)
			},
		})
	}
	return g
}

// readGroup reads what another has written, so that each side's bytes are checked by the other's eyes.
func (h *hadoopRows) readGroup() group {
	var g group
	for _, c := range []struct{ who, reads string }{{byShell, byFlott}, {byJava, byFlott}, {byFlott, byShell}} {
		p := parties[c.who]
		g.cases = append(g.cases, benchCase{
			name: "HDFS read, 1 GiB, " + p.name, command: p.command + " get", note: hdfsNote, beside: besideShell(c.who, "read"),
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				if err := h.prepare(ctx, s); err != nil {
					return err
				}
				if !h.there[c.reads] {
					if err := h.write(ctx, c.reads, &measure.Row{}); err != nil {
						return err
					}
				}
				if err := h.read(ctx, s, c.who, c.reads, row); err != nil {
					return err
				}
				return h.removeAfter(ctx, s, row, c.reads)
			},
		})
	}
	return g
}

func besideShell(who, verb string) string {
	if who == byShell {
		return ""
	}
	return "HDFS " + verb + ", 1 GiB, " + parties[byShell].name
}

// prepare makes the file, once.
func (h *hadoopRows) prepare(ctx context.Context, s *session) (err error) {
	if h.data == "" {
		if h.data, err = s.text(int64(hdfsBytes * h.scale)); err != nil {
			return err
		}
		if h.size, h.digest, err = digestFile(h.data); err != nil {
			return err
		}
	}
	return h.programs(ctx, s)
}

// programs builds them, once.
func (h *hadoopRows) programs(ctx context.Context, s *session) (err error) {
	if h.java != nil {
		return nil
	}
	if h.cluster, err = s.hadoop(ctx); err != nil {
		return err
	}
	if h.ours, err = s.build(ctx, hadoopClientPackage); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.temp, "java-")
	if err != nil {
		return err
	}
	h.java, err = javaclient.New(ctx, h.cluster, dir)
	return err
}

func (h *hadoopRows) program(path string, args []string) program {
	return program{path: path, args: args, env: h.cluster.Env()}
}

func remoteName(who string) string { return hdfsDir + "flott-bench-" + who }

func (h *hadoopRows) write(ctx context.Context, who string, row *measure.Row) error {
	if err := h.remove(ctx, who); err != nil {
		return err
	}
	if err := h.copy(ctx, "write", who, parties[who].put(h, h.data, remoteName(who)), row); err != nil {
		return err
	}
	h.there[who] = true
	return nil
}

func (h *hadoopRows) read(ctx context.Context, s *session, who, from string, row *measure.Row) error {
	local := filepath.Join(s.temp, "copy")
	defer os.Remove(local)
	if err := h.copy(ctx, "read", who, parties[who].get(h, local, remoteName(from)), row); err != nil {
		return err
	}
	_, got, err := digestFile(local)
	if err == nil && got != h.digest {
		err = fmt.Errorf("%w: what %s read of %s has SHA-256 %x, not %x", errOutput, who, from, got, h.digest)
	}
	return err
}

// copy measures one copy and compares it with the latest of the others.
func (h *hadoopRows) copy(ctx context.Context, verb, who string, p program, row *measure.Row) error {
	u, err := measureProgram(ctx, p)
	if err != nil {
		return err
	}
	size := float64(h.size)
	rate := size / u.wall.Seconds()
	var loop clientTook
	if who != byShell {
		if loop, err = lastLine(u.stdout); err != nil {
			return err
		}
		row.Add("loop: throughput", measure.BytesPerSecond, measure.Higher, size/loop.Seconds)
		row.Add("loop: CPU seconds", measure.Seconds, measure.Lower, loop.CPU)
	}
	if parties[who].warm { // its process copies twice
		h.latest[verb+who] = size / loop.Seconds
		return nil
	}
	row.Add("throughput", measure.BytesPerSecond, measure.Higher, rate)
	u.add(row)
	if other, ok := h.latest[verb+byShell]; ok && who == byFlott {
		row.Add("of FsShell's throughput", measure.Percent, measure.Higher, 100*rate/other)
	}
	if other, ok := h.latest[verb+byJava]; ok && who == byFlott {
		row.Add("loop: of the warm JVM's throughput", measure.Percent, measure.Higher, 100*size/loop.Seconds/other)
	}
	h.latest[verb+who] = rate
	return nil
}

// removeAfter removes a file behind the last run of a row.
func (h *hadoopRows) removeAfter(ctx context.Context, s *session, row *measure.Row, who string) error {
	if len(row.Load) < s.runs {
		return nil
	}
	return h.remove(ctx, who)
}

func (h *hadoopRows) remove(ctx context.Context, who string) error {
	h.there[who] = false
	return h.cluster.HDFS().Delete(ctx, remoteName(who))
}

func (h *hadoopRows) ipcGroup() group {
	calls := fmt.Sprint(int64(ipcCalls * h.scale))
	const java = "Hadoop's Java client"
	args := []string{"ipc", fmt.Sprint(ipcCallers), calls}
	row := func(who, command, beside string, client func() program) benchCase {
		return benchCase{
			name: "IPC, 64 callers on one connection, " + who, command: command + " " + strings.Join(args, " "), beside: beside,
			note: "getClusterMetrics of the YARN RM; CPU seconds are the client's, behind as many calls for warming up",
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				if err := h.programs(ctx, s); err != nil {
					return err
				}
				u, err := measureProgram(ctx, client())
				if err != nil {
					return err
				}
				t, err := lastLine(u.stdout)
				if err != nil {
					return err
				}
				perCPU := float64(t.Calls) / t.CPU
				row.Add("calls/s", measure.PerSecond, measure.Higher, float64(t.Calls)/t.Seconds)
				row.Add("calls per CPU second", measure.PerSecond, measure.Higher, perCPU)
				row.Add("peak RSS", measure.Bytes, measure.Lower, float64(u.peak))
				if other, ok := h.latest["ipc"+java]; ok && who != java {
					row.Add("calls per CPU second, of Java's", measure.Percent, measure.Higher, 100*perCPU/other)
				}
				h.latest["ipc"+who] = perCPU
				return nil
			},
		}
	}
	first := row(java, "java HadoopClient", "", func() program { return h.program(h.java.Client(args...)) })
	return group{cases: []benchCase{first, row("yarn/ipc", "hadoopclient", first.name, func() program { return h.program(h.ours, args) })}}
}

// clientTook is the line that the client programs print.
type clientTook struct {
	Bytes, Calls int64
	Seconds, CPU float64
}

// lastLine reads it; loggers may have written before it.
func lastLine(out []byte) (clientTook, error) {
	text := strings.TrimSpace(string(out))
	text = text[strings.LastIndexByte(text, '\n')+1:]
	var t clientTook
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return t, fmt.Errorf("read what a client took from %q: %w", text, err)
	}
	if !(t.Seconds > 0) || !(t.CPU > 0) {
		return t, fmt.Errorf("%w: a client took nothing: %q", errOutput, text)
	}
	return t, nil
}

func digestFile(path string) (size int64, sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, sum, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	if err != nil {
		return 0, sum, fmt.Errorf("digest %s: %w", path, err)
	}
	return size, [sha256.Size]byte(h.Sum(nil)), nil
}
