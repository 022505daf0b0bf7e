package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/rpc/launchfile"
)

const (
	keyedPackage   = "./integration/bench/jobs/keyedsum"
	latencyPackage = "./integration/bench/jobs/latency"
	plainPackage   = "./integration/bench/plain"
	wordPackage    = "./examples/wordcount"
)

// localGroups are the rows that need no Hadoop. Scale 1 makes runs of a few seconds.
func localGroups(scale float64) []group {
	return []group{startGroup(), keyedGroup(int64(40e6 * scale)), wordGroup(int64(textBytes * scale)), latencyGroup(scale)}
}

// startGroup is what a job costs that does nothing, and its binary.
func startGroup() group {
	return group{cases: []benchCase{{
		name: "empty job, local", command: "keyedsum -records 1",
		note: "from the start of the process to its end: what is in the seconds of the other local rows as well",
		run: func(ctx context.Context, s *session, row *measure.Row) error {
			binary, err := s.build(ctx, keyedPackage)
			if err != nil {
				return err
			}
			u, err := measureProgram(ctx, program{path: binary, args: []string{"-records", "1"}})
			if err != nil {
				return err
			}
			// It is too short for its memory to be seen.
			row.Add("seconds", measure.Seconds, measure.Lower, u.wall.Seconds())
			row.Add("CPU seconds", measure.Seconds, measure.Lower, u.cpu.Seconds())
			info, err := os.Stat(binary)
			if err != nil {
				return err
			}
			row.Add("binary, stripped", measure.Bytes, measure.Lower, float64(info.Size()))
			return nil
		},
	}}}
}

// keyedGroup is the keyed sum, and beside it the same job without an engine.
func keyedGroup(n int64) group {
	count := fmt.Sprint(n)
	g := group{}
	for _, p := range []string{"1", "2"} {
		g.cases = append(g.cases, plainCase(p, n))
	}
	for _, c := range []struct {
		name, p string
		tcp     bool
		args    []string
		conf    map[string]string
	}{
		{name: "keyed sum, p1", p: "1"},
		{name: "keyed sum, p2", p: "2"},
		{name: "keyed sum, p2, two workers over TCP", p: "2", tcp: true},
		{name: "keyed sum by flow.Sum, p2", p: "2", args: []string{"-sum"}, conf: map[string]string{"execution.runtime-mode": "STREAMING"}},
		{name: "keyed sum, p2, object reuse off", p: "2", conf: map[string]string{"pipeline.object-reuse": "false"}},
	} {
		j := localJob{pkg: keyedPackage, args: append([]string{"-records", count}, c.args...), tcp: c.tcp, conf: map[string]string{"parallelism.default": c.p}}
		for k, v := range c.conf {
			j.conf[k] = v
		}
		g.cases = append(g.cases, benchCase{name: c.name, command: j.String(), beside: "plain goroutines, p" + c.p,
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				u, err := j.measure(ctx, s)
				if err != nil {
					return err
				}
				row.Add(records, measure.PerSecond, measure.Higher, float64(n)/u.wall.Seconds())
				u.add(row)
				return nil
			}})
	}
	return g
}

func plainName(p string) string { return "plain goroutines, p" + p }

// plainCase is the keyed sum without an engine.
func plainCase(p string, n int64) benchCase {
	count := fmt.Sprint(n)
	return benchCase{name: plainName(p), command: "plain -records " + count + " -p " + p,
		run: func(ctx context.Context, s *session, row *measure.Row) error {
			binary, err := s.build(ctx, plainPackage)
			if err != nil {
				return err
			}
			u, err := measureProgram(ctx, program{path: binary, args: []string{"-records", count, "-p", p}})
			if err != nil {
				return err
			}
			if want := fmt.Sprint(n * (n - 1) / 2); strings.TrimSpace(string(u.stdout)) != want {
				return fmt.Errorf("%w: the sum is %s, not %s", errOutput, u.stdout, want)
			}
			row.Add(records, measure.PerSecond, measure.Higher, float64(n)/u.wall.Seconds())
			u.add(row)
			return nil
		}}
}

// localJob is a job program in local mode.
type localJob struct {
	pkg  string
	args []string
	tcp  bool
	conf map[string]string
}

// String is the job as a person would run it.
func (j localJob) String() string {
	var b strings.Builder
	if j.tcp {
		b.WriteString(launchfile.LocalTCP + "=1 ")
	}
	b.WriteString(j.pkg[strings.LastIndexByte(j.pkg, '/')+1:])
	for _, a := range j.args {
		b.WriteString(" " + a)
	}
	for _, k := range sortedKeys(j.conf) {
		fmt.Fprintf(&b, " [%s: %s]", k, j.conf[k])
	}
	return b.String()
}

func (j localJob) measure(ctx context.Context, s *session) (usage, error) {
	binary, err := s.build(ctx, j.pkg)
	if err != nil {
		return usage{}, err
	}
	dir, err := s.confDir(j.conf)
	if err != nil {
		return usage{}, err
	}
	p := program{path: binary, args: j.args, env: []string{"FLINK_CONF_DIR=" + dir}}
	if j.tcp {
		p.env = append(p.env, launchfile.LocalTCP+"=1")
	}
	return measureProgram(ctx, p)
}

// latencyGroup is the time to the keyed operator at 10,000 records a second.
func latencyGroup(scale float64) group {
	const rate, warmup = 10_000, 10_000
	n := warmup + int64(60_000*scale)
	g := group{}
	for _, timeout := range []string{"0 ms", "1 ms", "100 ms"} {
		j := localJob{pkg: latencyPackage, tcp: true,
			args: []string{"-rate", fmt.Sprint(rate), "-records", fmt.Sprint(n), "-warmup", fmt.Sprint(warmup)},
			conf: map[string]string{"parallelism.default": "2", "execution.buffer-timeout.interval": timeout}}
		g.cases = append(g.cases, benchCase{name: "latency, buffer timeout " + timeout, command: j.String(),
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				u, err := j.measure(ctx, s)
				if err != nil {
					return err
				}
				var times map[string]float64
				if err := json.Unmarshal(u.stdout, &times); err != nil {
					return fmt.Errorf("read what the job printed: %w: %s", err, tail(u.stdout))
				}
				if want := float64(n - warmup); times["samples"] != want {
					return fmt.Errorf("%w: %v records, not %v", errOutput, times["samples"], want)
				}
				for _, q := range []string{"p50", "p99", "p99.9", "max"} {
					row.Add(q, measure.Seconds, measure.Lower, times[q])
				}
				u.add(row)
				return nil
			}})
	}
	// 10,000 records a second take so long whatever the program does.
	g.cases[0].note = fmt.Sprintf("from making the record to the operator behind keyBy, two workers over loopback; %v records after %v to warm up",
		n-warmup, time.Duration(warmup/rate)*time.Second)
	return g
}
