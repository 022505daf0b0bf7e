// Command latency measures how long records take from where they are made to the operator behind keyBy.
//
//	latency [-records n] [-rate n] [-warmup n] [-keys n] [-output directory]
//
// The first records, -warmup, do not count. The time starts when the generator makes the record, which is not before it is due.
//
// With -output, files of that directory get a line "microseconds TAB records" for each time that occurred; the workers are processes of one
// machine, whose clock is the time. Without it, the job prints one line of JSON when the last record has come: {"samples":…,"p50":…,
// "p99":…,"p99.9":…,"max":…}, all but the first in seconds; its subtasks share one histogram, so it runs in one process then: in local
// mode, over loopback with FLOTT_LOCAL_TCP=1.
//
// It is a job program: command bench starts it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/flott-dev/flott/flow"
)

type event struct {
	Number, Key, Made int64 // Made: nanoseconds since the program's start; with -output since 1970
	Payload           string
}

func main() {
	r := &recorder{start: time.Now()}
	flow.Main(func(env *flow.Env, args []string) error { return build(env, args, r) })
}

// build declares the job. It is called for every worker of the process; all of them share the recorder.
func build(env *flow.Env, args []string, times *recorder) error {
	flags := flag.NewFlagSet("latency", flag.ContinueOnError)
	records := flags.Int64("records", 100_000, "how many records")
	rate := flags.Float64("rate", 10_000, "records per second")
	warmup := flags.Int64("warmup", 20_000, "how many records at the start do not count")
	keys := flags.Int64("keys", 10_000, "how many keys")
	output := flags.String("output", "", "directory for the times")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output != "" {
		write(env, *records, *rate, *warmup, *keys, *output)
		return nil
	}
	payload := string(make([]byte, 64))
	times.expect(*records, *warmup)
	n := *keys
	events := flow.Generate(env, func(i int64) event {
		return event{Number: i, Key: i % n, Made: int64(time.Since(times.start)), Payload: payload}
	}, flow.GenerateOptions{Count: *records, PerSecond: *rate})
	taken := flow.Process(flow.KeyBy(events, func(e event) int64 { return e.Key }),
		func(*flow.States[int64]) flow.ProcessFunc[int64, event, event] {
			return func(_ int64, e event, out flow.Emit[event]) error {
				return times.add(e.Number, time.Since(times.start)-time.Duration(e.Made))
			}
		})
	flow.ForEach(taken, func(event) error { return nil })
	return nil
}

// write declares the job that writes its times: they are counted by key, as words are.
func write(env *flow.Env, records int64, rate float64, warmup, keys int64, dir string) {
	payload := string(make([]byte, 64))
	events := flow.Generate(env, func(i int64) event {
		return event{Number: i, Key: i % keys, Made: time.Now().UnixNano(), Payload: payload}
	}, flow.GenerateOptions{Count: records, PerSecond: rate})
	micros := flow.Process(flow.KeyBy(events, func(e event) int64 { return e.Key }),
		func(*flow.States[int64]) flow.ProcessFunc[int64, event, int64] {
			return func(_ int64, e event, out flow.Emit[int64]) error {
				if took := time.Duration(time.Now().UnixNano() - e.Made); e.Number >= warmup {
					out.To(took.Microseconds())
				}
				return nil
			}
		})
	counts := flow.Count(flow.KeyBy(micros, func(m int64) int64 { return m }))
	flow.WriteTextFiles(counts, dir, func(line []byte, c flow.KV[int64, int64]) []byte {
		return fmt.Appendf(line, "%d\t%d", c.Key, c.Value)
	})
}

// recorder collects the times of all subtasks. A record comes each 100 µs, so a lock does not disturb them.
type recorder struct {
	start time.Time

	mu     sync.Mutex
	left   int64
	warmup int64
	taken  []time.Duration // nil before expect
}

// expect says how many records there will be. Only the first call counts.
func (r *recorder) expect(records, warmup int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken == nil {
		r.left, r.warmup, r.taken = records, warmup, make([]time.Duration, 0, max(0, records-warmup))
	}
}

func (r *recorder) add(number int64, d time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	if number >= r.warmup {
		r.taken = append(r.taken, d)
	}
	if r.left > 0 {
		return nil
	}
	slices.Sort(r.taken)
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"samples": float64(len(r.taken)), "p50": r.at(0.5), "p99": r.at(0.99),
		"p99.9": r.at(0.999), "max": r.at(1)})
}

// at is the time that a share of the records did not exceed, in seconds.
func (r *recorder) at(share float64) float64 {
	if len(r.taken) == 0 {
		return 0
	}
	return r.taken[min(len(r.taken)-1, int(share*float64(len(r.taken))))].Seconds()
}
