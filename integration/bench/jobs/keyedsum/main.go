// Command keyedsum is the keyed sum of the benchmarks: numbers become records of a key (the number modulo the number of keys), a value and
// a payload of 64 bytes from a table; by key, a running sum in keyed state; each new sum is discarded.
//
//	keyedsum [-records n] [-keys n] [-sum] [-rate n]
//
// Without -records it runs until it is cancelled; with -rate it makes so many records a second. -sum takes flow.Sum in place of
// flow.Process; in a bounded job that emits every sum only with execution.runtime-mode STREAMING.
//
// It is a job program: command bench starts it locally and on YARN, and integration/bench/plain is the same without an engine.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"

	"github.com/flott-dev/flott/flow"
)

type event struct {
	Key, Value int64
	Payload    string
}

type sum = flow.KV[int64, int64]

func main() { flow.Main(build) }

func build(env *flow.Env, args []string) error {
	flags := flag.NewFlagSet("keyedsum", flag.ContinueOnError)
	records := flags.Int64("records", 0, "how many records; 0: without end")
	keys := flags.Int64("keys", 10_000, "how many keys")
	rate := flags.Float64("rate", 0, "records per second; 0: no limit")
	useSum := flags.Bool("sum", false, "flow.Sum in place of flow.Process")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *keys < 1 {
		return fmt.Errorf("-keys %d: there has to be a key", *keys)
	}
	table := payloads()
	n := *keys
	events := flow.Generate(env, func(i int64) event {
		return event{Key: i % n, Value: i, Payload: table[i%int64(len(table))]}
	}, flow.GenerateOptions{Count: *records, PerSecond: *rate}).Name("numbers")
	byKey := flow.KeyBy(events, func(e event) int64 { return e.Key })
	var sums flow.Stream[sum]
	if *useSum {
		sums = flow.Sum(byKey, func(e event) int64 { return e.Value })
	} else {
		sums = flow.Process(byKey, running)
	}
	flow.ForEach(sums.Name("running sum"), func(sum) error { return nil }).Name("discard")
	return nil
}

// running keeps one sum for each key and emits it after each record.
func running(s *flow.States[int64]) flow.ProcessFunc[int64, event, sum] {
	total := flow.NewValueState[int64](s, "sum")
	return func(key int64, e event, out flow.Emit[sum]) error {
		v, _ := total.Get()
		v += e.Value
		total.Set(v)
		out.To(sum{Key: key, Value: v})
		return nil
	}
}

// payloads is the table of texts of 64 bytes, the same in every process.
func payloads() []string {
	r := rand.New(rand.NewPCG(1, 1))
	table := make([]string, 1000)
	b := make([]byte, 64)
	for i := range table {
		for k := range b {
			b[k] = 'a' + byte(r.UintN(26))
		}
		table[i] = string(b)
	}
	return table
}
