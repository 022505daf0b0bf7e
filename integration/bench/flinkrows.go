package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/bench/procs"
	"github.com/flott-dev/flott/integration/flink"
	"github.com/flott-dev/flott/integration/hadoop"
)

// The two sides, as the names of rows end.
const (
	ours   = ": flott"
	theirs = ": Flink " + flink.Version
)

// hdfsBench is the directory in HDFS of what these rows read and write.
const hdfsBench = "/tmp/flott-bench"

// layout is how a job is spread.
type layout struct {
	name     string
	p, slots int
	records  int64
}

// layouts are those of the keyed sum; flott's runs take two seconds and more.
var layouts = []layout{
	{"keyed sum, p1, one worker", 1, 1, 60e6},
	{"keyed sum, p2, one worker", 2, 2, 80e6},
	{"keyed sum, p2, two workers", 2, 1, 40e6},
}

// flinkGroups are the rows of flott and Flink in turn on one YARN. Runs that take long and scatter little are fewer.
func flinkGroups(scale float64) []group {
	const few = 3
	slow := flinkStartGroup(stock)
	slow.most = few
	latency := flinkLatencyGroup(scale)
	latency.most = few
	return []group{flinkStartGroup(quick), flinkKeyedGroup(scale), flinkWordGroup(int64(gigabyte * scale)), latency, slow}
}

// flinkBars is what the rows of flinkGroups are held against.
func flinkBars() []measure.Bar {
	both := func(name, row, metric string, bound float64) measure.Bar {
		return measure.Bar{Name: name, Ours: row + ours, Theirs: row + theirs, Metric: metric, Bound: bound}
	}
	alone := func(name, row, metric string, bound float64) measure.Bar {
		return measure.Bar{Name: name, Ours: row + ours, Metric: metric, Bound: bound}
	}
	start, slow := startName(quick), startName(stock)
	const (
		command = "command → every task RUNNING"
		asked   = "containers asked → last worker registered"
	)
	bars := []measure.Bar{
		both(command+", heartbeat 200 ms", start, commandRunning, 1.0/10),
		both(asked+", heartbeat 200 ms", start, askedRegistered, 1.0/10),
		alone("our own share of the start, heartbeat 200 ms", start, ownShare, 0.6),
		both(command+", heartbeat 1 s", slow, commandRunning, 0),
		both(asked+", heartbeat 1 s", slow, askedRegistered, 0),
		alone("our own share of the start, heartbeat 1 s", slow, ownShare, 0.6),
		both("RSS, ApplicationMaster", start, masterIdle, 1.0/6),
		both("RSS, worker, idle", start, workerIdle, 1.0/8),
		both("RSS, worker, keyed sum, p1", layouts[0].name, workerPeak, 1.0/4),
	}
	for i, least := range []float64{4, 5, 3} {
		name := layouts[i].name
		bars = append(bars, both(name, name, records, least), both("· CPU of all processes", name, cpuAll, 1.0/3), both("· CPU without the clients", name, cpuServers, 0))
	}
	plain := func(p string, i int, bound float64) measure.Bar {
		return measure.Bar{Name: layouts[i].name + ", beside plain goroutines", Ours: layouts[i].name + ours, Theirs: plainName(p), Metric: records, Bound: bound}
	}
	bars = append(bars, plain("1", 0, 0), plain("2", 1, 0.5))
	const each, combined = wordsEach, wordsCombined
	bars = append(bars,
		measure.Bar{Name: each, Ours: each + ours, Theirs: wordsFlink, Metric: input, Bound: 4},
		measure.Bar{Name: "· CPU of all processes", Ours: each + ours, Theirs: wordsFlink, Metric: cpuAll},
		measure.Bar{Name: combined, Ours: combined + ours, Theirs: wordsFlink, Metric: input, Bound: 6},
		measure.Bar{Name: "· CPU of all processes", Ours: combined + ours, Theirs: wordsFlink, Metric: cpuAll},
		both("latency p99, buffer timeout 0 ms", latencyName("0 ms"), "p99", 1),
		both("latency p99, buffer timeout 1 ms", latencyName("1 ms"), "p99", 1),
		both("· CPU of all processes", latencyName("1 ms"), cpuAll, 1.0/2),
		both("· CPU without the clients", latencyName("1 ms"), cpuServers, 0),
		alone("latency p50, buffer timeout 100 ms", latencyName("100 ms"), "p50", 0.050),
		alone("latency p99, buffer timeout 100 ms", latencyName("100 ms"), "p99", 0.105))
	return bars
}

// pair makes the cases of the two sides. Each side's function puts its numbers into the row.
func pair(name, note, ourCommand, theirCommand string, our, their func(ctx context.Context, s *session, row *measure.Row) error) []benchCase {
	return []benchCase{{name: name + ours, command: ourCommand, note: note, run: our}, {name: name + theirs, command: theirCommand, run: their}}
}

func startName(heartbeat time.Duration) string {
	return fmt.Sprintf("start on YARN, NodeManager heartbeat %v", heartbeat)
}

// flinkStartGroup starts an application with two workers on each side, cold; only flott's binary may be in YARN's cache, as Flink uploads its
// own each time.
func flinkStartGroup(heartbeat time.Duration) group {
	return group{cases: pair(startName(heartbeat), startNote, startCommand, "flink run-application -t yarn-application -p 2 KeyedSum --rate 1",
		func(ctx context.Context, s *session, row *measure.Row) error {
			return s.startRow(ctx, row, heartbeat, false)
		},
		func(ctx context.Context, s *session, row *measure.Row) error {
			return s.flinkStart(ctx, row, heartbeat)
		})}
}

// endFlink ends what has been kept for the runs of a group.
func endFlink(s *session) {
	for _, y := range s.onYARN {
		if y.flink == nil {
			continue
		}
		if err := y.flink.endSessions(); err != nil {
			say("end the Flink sessions: %v", err)
		}
	}
}

// flinkKeyedGroup is the keyed sum.
func flinkKeyedGroup(scale float64) group {
	g := group{done: endFlink}
	for _, p := range []string{"1", "2"} {
		g.cases = append(g.cases, plainCase(p, int64(float64(layouts[0].records)*scale)))
	}
	for _, l := range layouts {
		n := int64(float64(l.records) * scale)
		count := fmt.Sprint(n)
		settings := []string{fmt.Sprintf("parallelism.default=%d", l.p), fmt.Sprintf("taskmanager.numberOfTaskSlots=%d", l.slots)}
		finish := func(r jobRun, err error, row *measure.Row) error {
			if err == nil {
				row.Add(records, measure.PerSecond, measure.Higher, float64(n)/r.seconds())
				r.add(row)
			}
			return err
		}
		g.cases = append(g.cases, pair(l.name, "", "flott run -t yarn-application keyedsum -records "+count, "flink run -d -t yarn-session KeyedSum --records "+count,
			func(ctx context.Context, s *session, row *measure.Row) error {
				r, err := s.flottJob(ctx, row, keyedPackage, settings, "-records", count)
				return finish(r, err, row)
			},
			func(ctx context.Context, s *session, row *measure.Row) error {
				r, err := s.flinkJob(ctx, l.slots, "KeyedSum", l.p, nil, "--records", count)
				return finish(r, err, row)
			})...)
	}
	return g
}

// flottJob runs a job of the tree on the quick cluster. What sessions of Flink take meanwhile is a metric of the row.
func (s *session) flottJob(ctx context.Context, row *measure.Row, pkg string, settings []string, args ...string) (jobRun, error) {
	y, err := s.yarn(ctx, quick)
	if err != nil {
		return jobRun{}, err
	}
	binary, err := s.build(ctx, pkg)
	if err != nil {
		return jobRun{}, err
	}
	var idle []*procs.Watch
	if y.flink != nil {
		for _, f := range y.flink.sessions {
			w := procs.New(f.id)
			w.Sample()
			w.Reset()
			idle = append(idle, w)
		}
	}
	begun := time.Now()
	r, err := y.runJob(ctx, binary, settings, args...)
	took, used := time.Since(begun), time.Duration(0)
	for _, w := range idle {
		w.Sample()
		used += w.Usage().CPU()
	}
	if err == nil && len(idle) > 0 {
		row.Add("idle Flink sessions meanwhile, of a core", measure.Percent, measure.Lower, 100*used.Seconds()/took.Seconds())
	}
	return r, err
}

// flinkJob runs a job in the session with so many slots.
func (s *session) flinkJob(ctx context.Context, slots int, class string, p int, settings []string, args ...string) (jobRun, error) {
	y, err := s.yarn(ctx, quick)
	if err != nil {
		return jobRun{}, err
	}
	f, err := s.flinkOn(ctx, y)
	if err != nil {
		return jobRun{}, err
	}
	session, err := f.session(ctx, slots)
	if err != nil {
		return jobRun{}, err
	}
	return session.job(ctx, class, p, settings, args...)
}

const (
	gigabyte = 1 << 30
	// input is the metric of text per second.
	input         = "input"
	words         = "WordCount, 1 GiB from HDFS, p2, two workers"
	wordsEach     = words + ", every word exchanged"
	wordsCombined = words + ", combining"
	wordsFlink    = words + theirs
)

// flinkWordGroup is WordCount over one file in HDFS, of n bytes.
func flinkWordGroup(n int64) group {
	g := group{done: endFlink}
	flott := func(name, combine string) benchCase {
		settings := []string{"parallelism.default=2", "pipeline.combine=" + combine}
		return benchCase{name: name + ours, command: "flott run -t yarn-application -Dpipeline.combine=" + combine + " wordcount --input hdfs:… --output hdfs:…",
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				return s.words(ctx, row, n, func(from, to string) (jobRun, error) {
					return s.flottJob(ctx, row, wordPackage, settings, "--input", from, "--output", to)
				})
			}}
	}
	g.cases = []benchCase{
		flott(wordsEach, "false"),
		{name: wordsFlink, command: "flink run -d -t yarn-session WordCount --input hdfs:… --output hdfs:…",
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				return s.words(ctx, row, n, func(from, to string) (jobRun, error) {
					return s.flinkJob(ctx, 1, "WordCount", 2, nil, "--input", from, "--output", to)
				})
			}},
		flott(wordsCombined, "true"),
	}
	g.cases[0].note = "each run's output is compared with a count by bench itself"
	return g
}

// words runs one WordCount from a file to a directory in HDFS, and compares what it wrote.
func (s *session) words(ctx context.Context, row *measure.Row, n int64, job func(from, to string) (jobRun, error)) error {
	y, err := s.yarn(ctx, quick)
	if err != nil {
		return err
	}
	local, err := s.text(n)
	if err != nil {
		return err
	}
	want, size, err := s.expected(local)
	if err != nil {
		return err
	}
	from, err := s.upload(ctx, y, local, size)
	if err != nil {
		return err
	}
	var r jobRun
	lines, err := y.output(ctx, func(to string) (err error) {
		r, err = job(from, to)
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(lines, bytes.Compare)
	if got := bytes.Join(lines, []byte{'\n'}); !bytes.Equal(got, want) {
		return fmt.Errorf("%w: %d lines differ from the count by bench", errOutput, len(lines))
	}
	row.Add(input, measure.BytesPerSecond, measure.Higher, float64(size)/r.seconds())
	r.add(row)
	return nil
}

// upload puts a file into HDFS, once in each cluster.
func (s *session) upload(ctx context.Context, y *yarn, local string, n int64) (string, error) {
	if err := y.cluster.HDFS().Mkdirs(ctx, hdfsBench, "777"); err != nil {
		return "", err
	}
	target := path.Join(hdfsBench, "words.txt")
	there, err := y.cluster.HDFS().List(ctx, hdfsBench)
	if err != nil {
		return "", err
	}
	uri := y.cluster.DefaultFS() + target
	if slices.ContainsFunc(there, func(f hadoop.FileInfo) bool { return f.Path == target && f.Length == n }) {
		return uri, nil
	}
	put, err := s.build(ctx, hadoopClientPackage)
	if err != nil {
		return "", err
	}
	if err := y.cluster.HDFS().Delete(ctx, target); err != nil {
		return "", err
	}
	say("writing %s to HDFS", local)
	_, err = measureProgram(ctx, program{path: put, args: []string{"put", local, target}, env: y.env})
	return uri, err
}

// output runs a job that writes text to a directory in HDFS, and returns the lines of all its files.
func (y *yarn) output(ctx context.Context, job func(to string) error) ([][]byte, error) {
	dir := path.Join(hdfsBench, "out-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	hdfs := y.cluster.HDFS()
	if err := hdfs.Mkdirs(ctx, hdfsBench, "777"); err != nil {
		return nil, err
	}
	// Nothing is lost when it cannot be removed: it is small.
	defer hdfs.Delete(context.WithoutCancel(ctx), dir)
	if err := job(y.cluster.DefaultFS() + dir); err != nil {
		return nil, err
	}
	files, err := hdfs.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	var lines [][]byte
	for _, f := range files {
		if !strings.HasPrefix(path.Base(f.Path), "part-") || f.Length == 0 {
			continue
		}
		text, err := hdfs.Get(ctx, f.Path)
		if err != nil {
			return nil, err
		}
		lines = append(lines, bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'})...)
	}
	return lines, nil
}

func latencyName(timeout string) string { return "latency, buffer timeout " + timeout }

// flinkLatencyGroup is the time to the keyed operator at 10,000 records a second.
func flinkLatencyGroup(scale float64) group {
	// The Java virtual machines need some seconds until they have compiled what counts.
	const rate, warmup = 10_000, 100_000
	n := warmup + int64(100_000*scale)
	g := group{done: endFlink}
	for _, timeout := range []string{"0 ms", "1 ms", "100 ms"} {
		buffer := "execution.buffer-timeout.interval=" + timeout
		counts := func(dash string) []string {
			return []string{dash + "records", fmt.Sprint(n), dash + "rate", fmt.Sprint(rate), dash + "warmup", fmt.Sprint(warmup)}
		}
		g.cases = append(g.cases, pair(latencyName(timeout), "", "flott run -t yarn-application -D"+buffer+" latency "+strings.Join(counts("-"), " "),
			"flink run -d -t yarn-session -D"+buffer+" Latency "+strings.Join(counts("--"), " "),
			func(ctx context.Context, s *session, row *measure.Row) error {
				return s.latency(ctx, row, n-warmup, func(to string) (jobRun, error) {
					return s.flottJob(ctx, row, latencyPackage, []string{"parallelism.default=2", buffer}, append(counts("-"), "-output", to)...)
				})
			},
			func(ctx context.Context, s *session, row *measure.Row) error {
				return s.latency(ctx, row, n-warmup, func(to string) (jobRun, error) {
					return s.flinkJob(ctx, 1, "Latency", 2, []string{buffer}, append(counts("--"), "--output", to)...)
				})
			})...)
	}
	g.cases[0].note = fmt.Sprintf("from making a record to the operator behind keyBy, two workers; %d records after %d that do not count", n-warmup, warmup)
	return g
}

// latency runs one latency job and puts the quantiles of what it wrote into the row.
func (s *session) latency(ctx context.Context, row *measure.Row, samples int64, job func(to string) (jobRun, error)) error {
	y, err := s.yarn(ctx, quick)
	if err != nil {
		return err
	}
	var r jobRun
	lines, err := y.output(ctx, func(to string) (err error) {
		r, err = job(to)
		return err
	})
	if err != nil {
		return err
	}
	h, err := parseHistogram(lines)
	if err != nil {
		return err
	}
	if got := h.total(); got != samples {
		return fmt.Errorf("%w: %d records, not %d", errOutput, got, samples)
	}
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}} {
		row.Add(q.name, measure.Seconds, measure.Lower, h.at(q.share).Seconds())
	}
	r.add(row)
	return nil
}

// histogram is how many records took how many microseconds.
type histogram map[int64]int64

// parseHistogram reads lines "microseconds TAB records"; several lines may be about the same time.
func parseHistogram(lines [][]byte) (histogram, error) {
	h := make(histogram)
	for _, l := range lines {
		micros, count, _ := strings.Cut(string(l), "\t")
		m, err := strconv.ParseInt(micros, 10, 64)
		n, err2 := strconv.ParseInt(count, 10, 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("%w: %w", errOutput, err)
		}
		h[m] += n
	}
	return h, nil
}

func (h histogram) total() int64 {
	sum := int64(0)
	for _, n := range h {
		sum += n
	}
	return sum
}

// at is the time that a share of the records did not exceed.
func (h histogram) at(share float64) time.Duration {
	rank, last := int64(share*float64(h.total())), int64(0)
	for _, micros := range sortedKeys(h) {
		last = micros
		if rank -= h[micros]; rank < 0 {
			break
		}
	}
	return time.Duration(last) * time.Microsecond
}
