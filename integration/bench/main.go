// Command bench measures flott and says what became faster or slower.
//
//	bench [-run regexp] [-runs n] [-scale f] [-out file] [-micro] [-list]   what `make bench` runs
//	bench -flink [the same]                                                 what `make bench-flink` runs: flott and Apache Flink in turn
//	bench -compare OLD NEW                                                  what `make bench-compare OLD=… NEW=…` runs
//	bench -generate FILE -bytes n [-seed n]                                 writes the text that the benchmarks read
//
// It builds the job programs below integration/bench/jobs and examples as a user does, runs them as processes of their own, and prints a table:
// command, runs, median (min/max), and the load of the machine in front of the runs. All samples go to a JSON file. Rows that need real
// Hadoop run on the cluster that the environment names, as integration/hadoop leaves it (FLOTT_HADOOP_STATE), and start one if it names
// none; -run chooses rows.
//
// It owns dist/bench. Everything runs on the main goroutine, one process at a time; what is measured together takes turns (A B A B …).
// What it starts has ended when it ends, but for applications of a cluster that was there before, which it kills. docs/benchmarks.md
// says how to read the numbers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/flott-dev/flott/integration/bench/gen"
	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/flink"
)

type options struct {
	run         *regexp.Regexp
	runs        int
	scale       float64
	out         string
	micro, list bool
	flink       bool
	compare     bool
	generate    string
	bytes       int64
	seed        uint64
	arguments   []string
	heartbeat   time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = do(ctx, o)
	}
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	run := f.String("run", ".", "regular expression over the names of rows")
	f.IntVar(&o.runs, "runs", 5, "how often each row runs")
	f.Float64Var(&o.scale, "scale", 1, "size of the local jobs, 1 for numbers that count")
	f.StringVar(&o.out, "out", "", "JSON file; dist/bench/<time>.json if empty")
	f.BoolVar(&o.micro, "micro", false, "run the micro-benchmarks beside the code as well")
	f.BoolVar(&o.flink, "flink", false, "run flott and Apache Flink in turn on YARN, in place of the other rows")
	f.BoolVar(&o.list, "list", false, "print the names of the rows and run nothing")
	f.DurationVar(&o.heartbeat, "heartbeat", 200*time.Millisecond, "NodeManager heartbeat of a cluster that bench starts")
	f.BoolVar(&o.compare, "compare", false, "compare two JSON files, the older one first")
	f.StringVar(&o.generate, "generate", "", "write generated text to this file")
	f.Int64Var(&o.bytes, "bytes", textBytes, "size of the generated text")
	f.Uint64Var(&o.seed, "seed", textSeed, "seed of the generated text")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.arguments = f.Args()
	var err error
	if o.run, err = regexp.Compile(*run); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	switch want := map[bool]int{true: 2}[o.compare]; {
	case o.compare && len(o.arguments) != want:
		return o, errors.New("-compare needs two files, the older one first")
	case len(o.arguments) != want:
		return o, fmt.Errorf("unexpected argument %s", o.arguments[0])
	case o.runs < 1:
		return o, fmt.Errorf("-runs %d: at least one run is needed", o.runs)
	case !(o.scale > 0):
		return o, fmt.Errorf("-scale %v: it has to be above 0", o.scale)
	}
	return o, nil
}

func do(ctx context.Context, o options) error {
	switch {
	case o.compare:
		return compare(o.arguments[0], o.arguments[1])
	case o.generate != "":
		return generate(o.generate, gen.Config{Seed: o.seed, Bytes: o.bytes})
	}
	return bench(ctx, o)
}

func compare(older, newer string) error {
	old, err := measure.Read(older)
	if err != nil {
		return err
	}
	now, err := measure.Read(newer)
	if err != nil {
		return err
	}
	return measure.PrintComparison(os.Stdout, old, now)
}

// constructors make the groups of rows, in the order in which they run. Scale is 1 for numbers that count.
var constructors = []func(scale float64) []group{
	localGroups,
	loadGroups,
	yarnGroups,
	hadoopGroups,
	slowYARNGroups, // last: it may stop the cluster of the rows before
}

func allGroups(scale float64) []group {
	var all []group
	for _, c := range constructors {
		all = append(all, c(scale)...)
	}
	return all
}

// bench runs what o asks for. What has been measured is written also when something failed.
func bench(ctx context.Context, o options) error {
	rows, bars, name := allGroups, []measure.Bar(nil), ""
	if o.flink {
		rows, bars, name = flinkGroups, flinkBars(), "flink-"
	}
	groups := chosen(rows(o.scale), o.run)
	if o.list {
		for _, g := range groups {
			for _, c := range g.cases {
				fmt.Println(c.name)
			}
		}
		return nil
	}
	s, err := newSession(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	report := &measure.Report{Date: time.Now().UTC(), Go: goVersion(), Machine: machine()}
	if report.Commit, report.Modified, err = commit(ctx, s.root); err != nil {
		return err
	}
	for _, g := range groups {
		report.Rows = append(report.Rows, s.group(ctx, g)...)
	}
	if o.micro {
		report.Rows = append(report.Rows, s.micro(ctx)...)
	}
	out := o.out
	if out == "" {
		out = filepath.Join(s.dir, name+report.Date.Format("20060102-150405")+".json")
	}
	report.Bars = report.Judge(bars)
	if err := errors.Join(measure.Table(os.Stdout, report), report.Write(out)); err != nil {
		return err
	}
	if o.flink {
		fmt.Println()
		if err := measure.Markdown(os.Stdout, report, report.Bars, "flott", "Flink "+flink.Version); err != nil {
			return err
		}
	}
	fmt.Println("\nsamples:", out)
	failed := 0
	for _, r := range report.Rows {
		if r.Failed != "" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d rows failed", failed)
	}
	return ctx.Err()
}

// chosen leaves in the groups what the expression matches, and what that is compared with.
func chosen(groups []group, run *regexp.Regexp) []group {
	var out []group
	for _, g := range groups {
		need := map[string]bool{}
		for _, c := range g.cases {
			if run.MatchString(c.name) {
				need[c.name], need[c.beside] = true, true
			}
		}
		var cases []benchCase
		for _, c := range g.cases {
			if need[c.name] {
				cases = append(cases, c)
			}
		}
		if len(cases) > 0 {
			g.cases = cases
			out = append(out, g)
		}
	}
	return out
}
