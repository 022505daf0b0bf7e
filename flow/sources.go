package flow

import (
	"math"

	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/connector/generator"
	"github.com/flott-dev/flott/taskrunner/connector/textfile"
)

// TextFiles reads the lines of files, without their ends ("\n" or "\r\n"); other bytes stay as they are, also those that are no UTF-8.
//
// A path names a file, a directory (with all below it but for names that begin with "." or "_"), or a glob with *, ?, [a-c] and {a,b}; it
// may be a URI (hdfs://…, file:///…), otherwise it lies in the default file system. Large files are read in pieces by several subtasks;
// files whose name ends in .gz are decompressed and read whole. A path that does not exist fails the job, as does a glob that matches
// nothing. Lines come in no order.
func TextFiles(env *Env, paths ...string) Stream[string] {
	o := env.declare(plan.Source, "TextFiles", textfile.Source{Paths: paths}, nil)
	o.bounded, o.coordinated = true, true
	if len(paths) == 0 {
		env.fail(o.at, "%s: no path is given", o.call)
	}
	for _, p := range paths {
		if p == "" {
			env.fail(o.at, "%s: a path is empty", o.call)
		}
	}
	return output[string](o)
}

// Sequence is the whole numbers from from to to, both included; nothing when to is less than from.
func Sequence(env *Env, from, to int64) Stream[int64] {
	src := generator.Source[int64]{Of: func(n int64) int64 { return from + n }, Bounded: true}
	o := env.declare(plan.Source, "Sequence", nil, nil)
	o.bounded = true
	if to >= from {
		n := uint64(to) - uint64(from)
		if n >= math.MaxInt64 {
			env.fail(o.at, "%s: there are more than %d numbers from %d to %d", o.call, int64(math.MaxInt64), from, to)
		}
		src.Count = int64(n) + 1
	}
	o.node = src
	return output[int64](o)
}

// GenerateOptions says how many records Generate makes; the zero value is: without end, as fast as they are taken.
type GenerateOptions struct {
	// Count is the number of records of all subtasks together; 0: without end.
	Count int64
	// PerSecond is the rate of all subtasks together, held on the average from the start on; 0: no limit.
	PerSecond float64
}

// Generate makes records from their numbers, which count up from 0. Subtasks take turns, so that with more than one the records come in
// no order.
func Generate[T any](env *Env, f func(n int64) T, options GenerateOptions) Stream[T] {
	src := generator.Source[T]{Of: f, Bounded: options.Count > 0, Count: options.Count, PerSecond: options.PerSecond}
	o := env.declare(plan.Source, "Generate", src, f)
	o.bounded = src.Bounded
	if options.Count < 0 {
		env.fail(o.at, "%s: Count %d is negative", o.call, options.Count)
	}
	if !(options.PerSecond >= 0 && options.PerSecond <= generator.MaxPerSecond) {
		env.fail(o.at, "%s: PerSecond %v is not within 0 and %v", o.call, options.PerSecond, float64(generator.MaxPerSecond))
	}
	return output[T](o)
}
