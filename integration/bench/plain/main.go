// Command plain is the job integration/bench/jobs/keyedsum without an engine: goroutines, channels of batches, and a map. The distance
// between the two is what the engine costs.
//
//	plain -records n [-keys n] [-p n]
//
// There are p producers and p consumers. A producer makes every p-th number, puts the record into the batch of the consumer that owns its
// key, and sends full batches; consumers give batches back. Records and batches are as large as those of the engine.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
)

type event struct {
	Key, Value int64
	Payload    string
}

const (
	batchSize = 512
	inFlight  = 8 // batches of one channel
)

func main() {
	records := flag.Int64("records", 10_000_000, "how many records")
	keys := flag.Int64("keys", 10_000, "how many keys")
	p := flag.Int("p", 1, "parallelism")
	flag.Parse()
	if *keys < 1 || *p < 1 || *records < 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	fmt.Println(run(*records, *keys, *p))
}

// run returns the sum over all keys of their last running sums, which depends on every record.
func run(records, keys int64, p int) int64 {
	table := payloads()
	var producers, consumers sync.WaitGroup
	totals := make([]int64, p)
	to := make([]chan delivery, p) // by consumer
	for c := range p {
		to[c] = make(chan delivery, p*inFlight)
		consumers.Go(func() { totals[c] = consume(to[c]) })
	}
	for i := range p {
		producers.Go(func() { produce(int64(i), int64(p), records, keys, table, to) })
	}
	producers.Wait()
	for _, c := range to {
		close(c)
	}
	consumers.Wait()
	total := int64(0)
	for _, t := range totals {
		total += t
	}
	return total
}

// delivery is a batch and where it goes back to.
type delivery struct {
	batch []event
	back  chan []event
}

func produce(at, step, records, keys int64, table []string, to []chan delivery) {
	open, free := make([][]event, len(to)), make(chan []event, len(to)*(inFlight+2))
	for c := range open {
		open[c] = make([]event, 0, batchSize)
	}
	for n := at; n < records; n += step {
		e := event{Key: n % keys, Value: n, Payload: table[n%int64(len(table))]}
		c := int(hash(uint64(e.Key)) % uint64(len(to)))
		open[c] = append(open[c], e)
		if len(open[c]) < batchSize {
			continue
		}
		to[c] <- delivery{open[c], free}
		select {
		case b := <-free:
			open[c] = b[:0]
		default:
			open[c] = make([]event, 0, batchSize)
		}
	}
	for c, b := range open {
		to[c] <- delivery{b, free}
	}
}

func consume(from <-chan delivery) int64 {
	sums := make(map[int64]int64)
	for d := range from {
		for i := range d.batch {
			e := &d.batch[i]
			sum := sums[e.Key] + e.Value
			sums[e.Key] = sum
			discard(event{Key: e.Key, Value: sum})
		}
		clear(d.batch)
		select {
		case d.back <- d.batch:
		default:
		}
	}
	total := int64(0)
	for _, s := range sums {
		total += s
	}
	return total
}

//go:noinline
func discard(event) {}

// hash spreads keys over consumers.
func hash(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

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
