// Command endings is a job that ends as its first argument says. Tests submit it.
//
//	endings finish            counts 10,000 numbers by their last digit and finishes
//	endings fail              a function returns an error at number 1000
//	endings panic             a function panics at number 1000
//	endings forever           makes 1,000 numbers a second until it is cancelled
//	endings write DIR         as forever, and would write the numbers to DIR at its end
//	endings read PATH DIR     copies the lines of PATH to DIR
package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/flott-dev/flott/flow"
)

const (
	fatalNumber = 1000
	perSecond   = 1000
)

func main() { flow.Main(build) }

func build(env *flow.Env, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: endings finish | fail | panic | forever | write DIR | read PATH DIR")
	}
	env.JobName("endings " + args[0])
	want := map[string]int{"write": 2, "read": 3}[args[0]]
	if want > 0 && len(args) != want {
		return fmt.Errorf("endings %s wants %d arguments, not %d", args[0], want-1, len(args)-1)
	}
	switch args[0] {
	case "finish":
		discard(countDigits(flow.Sequence(env, 1, 10_000)))
	case "fail":
		discard(flow.TryMap(flow.Sequence(env, 1, 10_000), func(n int64) (int64, error) {
			if n == fatalNumber {
				return 0, fmt.Errorf("order %d has no price", n)
			}
			return n, nil
		}))
	case "panic":
		discard(flow.Map(flow.Sequence(env, 1, 10_000), func(n int64) int64 {
			if n == fatalNumber {
				var prices []int64
				return prices[n] // index out of range
			}
			return n
		}))
	case "forever":
		discard(countDigits(numbers(env, 0)))
	case "write":
		flow.WriteTextFiles(numbers(env, math.MaxInt64), args[1], func(line []byte, n int64) []byte { return strconv.AppendInt(line, n, 10) })
	case "read":
		flow.WriteTextFiles(flow.TextFiles(env, args[1]), args[2], func(line []byte, s string) []byte { return append(line, s...) })
	default:
		return fmt.Errorf("unknown ending %q", args[0])
	}
	return nil
}

func numbers(env *flow.Env, count int64) flow.Stream[int64] {
	return flow.Generate(env, func(n int64) int64 { return n }, flow.GenerateOptions{Count: count, PerSecond: perSecond})
}

func countDigits(numbers flow.Stream[int64]) flow.Stream[flow.KV[int64, int64]] {
	return flow.Count(flow.KeyBy(numbers, func(n int64) int64 { return n % 10 }))
}

func discard[T any](s flow.Stream[T]) { flow.ForEach(s, func(T) error { return nil }) }
