package flow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/flott-dev/flott/flow"
)

// run runs a job in this process and prints what went wrong. A program calls flow.Main instead.
func run(build func(env *flow.Env)) {
	err := flow.Run(context.Background(), func(env *flow.Env, _ []string) error {
		build(env)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
}

// A whole job: it counts words.
func Example() {
	run(func(env *flow.Env) {
		lines := flow.Generate(env, func(n int64) string { return []string{"to be", "or not", "to be"}[n] }, flow.GenerateOptions{Count: 3})
		words := flow.FlatMap(lines, func(line string, out flow.Emit[string]) {
			for word := range strings.FieldsSeq(line) {
				out.To(word)
			}
		})
		flow.Print(flow.Count(flow.KeyBy(words, func(word string) string { return word })))
	})
	// Unordered output:
	// {to 2}
	// {be 2}
	// {or 1}
	// {not 1}
}

func ExampleRun() {
	build := func(env *flow.Env, args []string) error {
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return err
		}
		flow.Print(flow.Sequence(env, 1, n))
		return nil
	}
	fmt.Println(flow.Run(context.Background(), build, "2"))
	fmt.Println(flow.Run(context.Background(), build, "two"))
	// Output:
	// 1
	// 2
	// <nil>
	// strconv.ParseInt: parsing "two": invalid syntax
}

func ExampleTextFiles() {
	dir, err := os.MkdirTemp("", "flow")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "a.txt"), []byte("first\nsecond\n"), 0o644)
	os.WriteFile(filepath.Join(dir, "_ignored"), []byte("no\n"), 0o644)
	run(func(env *flow.Env) {
		flow.Print(flow.TextFiles(env, dir, filepath.Join(dir, "*.txt"))) // a file that two paths name is read once
	})
	// Unordered output:
	// first
	// second
}

func ExampleSequence() {
	run(func(env *flow.Env) { flow.Print(flow.Sequence(env, -1, 1)) })
	// Output:
	// -1
	// 0
	// 1
}

func ExampleGenerate() {
	run(func(env *flow.Env) {
		flow.Print(flow.Generate(env, func(n int64) string { return fmt.Sprintf("event %d", n) }, flow.GenerateOptions{Count: 3, PerSecond: 1000}))
	})
	// Output:
	// event 0
	// event 1
	// event 2
}

func ExampleMap() {
	run(func(env *flow.Env) {
		squares := flow.Map(flow.Sequence(env, 1, 3), func(n int64) int64 { return n * n }).Name("square")
		flow.Print(squares)
	})
	// Output:
	// 1
	// 4
	// 9
}

func ExampleTryMap() {
	run(func(env *flow.Env) {
		texts := flow.Map(flow.Sequence(env, 1, 3), func(n int64) string { return strings.Repeat("1", int(n)) })
		flow.Print(flow.TryMap(texts, strconv.Atoi))
	})
	// Output:
	// 1
	// 11
	// 111
}

func ExampleFilter() {
	run(func(env *flow.Env) {
		flow.Print(flow.Filter(flow.Sequence(env, 1, 6), func(n int64) bool { return n%2 == 0 }))
	})
	// Output:
	// 2
	// 4
	// 6
}

func ExampleTryFilter() {
	run(func(env *flow.Env) {
		texts := flow.Map(flow.Sequence(env, 1, 3), func(n int64) string { return []string{"", "true", "false", "t"}[n] })
		flow.Print(flow.TryFilter(texts, strconv.ParseBool))
	})
	// Output:
	// true
	// t
}

func ExampleFlatMap() {
	run(func(env *flow.Env) {
		flow.Print(flow.FlatMap(flow.Sequence(env, 0, 3), func(n int64, out flow.Emit[string]) {
			for i := range n {
				out.To(fmt.Sprintf("%d of %d", i+1, n))
			}
		}))
	})
	// Output:
	// 1 of 1
	// 1 of 2
	// 2 of 2
	// 1 of 3
	// 2 of 3
	// 3 of 3
}

func ExampleTryFlatMap() {
	run(func(env *flow.Env) {
		flow.Print(flow.TryFlatMap(flow.Sequence(env, 1, 2), func(n int64, out flow.Emit[int64]) error {
			if n < 1 {
				return errors.New("a number is not positive")
			}
			out.To(n)
			out.To(-n)
			return nil
		}))
	})
	// Output:
	// 1
	// -1
	// 2
	// -2
}

func ExampleUnion() {
	run(func(env *flow.Env) {
		flow.Print(flow.Union(flow.Sequence(env, 1, 2), flow.Sequence(env, 11, 12)))
	})
	// Unordered output:
	// 1
	// 2
	// 11
	// 12
}

func ExampleRebalance() {
	run(func(env *flow.Env) {
		seeds := flow.Sequence(env, 1, 4).Parallelism(1)
		// Whatever the source's subtasks have, the two of Map get the same share.
		flow.Print(flow.Map(flow.Rebalance(seeds), func(n int64) int64 { return -n }).Parallelism(2)).Parallelism(1)
	})
	// Unordered output:
	// -1
	// -2
	// -3
	// -4
}

func ExampleKeyBy() {
	type click struct {
		User string
		Page int64
	}
	run(func(env *flow.Env) {
		clicks := flow.Map(flow.Sequence(env, 1, 5), func(n int64) click { return click{User: []string{"ann", "bob"}[n%2], Page: n} })
		flow.Print(flow.Count(flow.KeyBy(clicks, func(c click) string { return c.User })))
	})
	// Unordered output:
	// {ann 2}
	// {bob 3}
}

func ExampleCount() {
	run(func(env *flow.Env) {
		words := flow.Map(flow.Sequence(env, 1, 3), func(n int64) string { return []string{"", "a", "b", "a"}[n] })
		flow.Print(flow.Count(flow.KeyBy(words, func(w string) string { return w })))
	})
	// Unordered output:
	// {a 2}
	// {b 1}
}

func ExampleSum() {
	type sale struct {
		Shop  string
		Price float64
	}
	run(func(env *flow.Env) {
		sales := flow.Map(flow.Sequence(env, 1, 4), func(n int64) sale { return sale{Shop: []string{"north", "south"}[n%2], Price: float64(n) / 2} })
		flow.Print(flow.Sum(flow.KeyBy(sales, func(s sale) string { return s.Shop }), func(s sale) float64 { return s.Price }))
	})
	// Unordered output:
	// {north 3}
	// {south 2}
}

func ExampleReduce() {
	run(func(env *flow.Env) {
		words := flow.Map(flow.Sequence(env, 0, 3), func(n int64) string { return []string{"bee", "ape", "ant", "bear"}[n] })
		flow.Print(flow.Reduce(flow.KeyBy(words, func(w string) byte { return w[0] }), func(a, b string) string { return max(a, b) }))
	})
	// Unordered output:
	// bee
	// ape
}

func ExampleProcess() {
	run(func(env *flow.Env) {
		visits := flow.Map(flow.Sequence(env, 0, 4), func(n int64) string { return []string{"ann", "bob", "ann", "ann", "bob"}[n] })
		returning := flow.Process(flow.KeyBy(visits, func(user string) string { return user }),
			func(s *flow.States[string]) flow.ProcessFunc[string, string, string] {
				visits := flow.NewValueState[int](s, "visits")
				return func(user string, _ string, out flow.Emit[string]) error {
					n, _ := visits.Get()
					visits.Set(n + 1)
					if n == 1 {
						out.To(user + " is back")
					}
					return nil
				}
			})
		flow.Print(returning)
	})
	// Output:
	// ann is back
	// bob is back
}

func ExampleNewMapState() {
	run(func(env *flow.Env) {
		numbers := flow.Sequence(env, 1, 6)
		distinct := flow.Process(flow.KeyBy(numbers, func(n int64) bool { return n%2 == 0 }),
			func(s *flow.States[bool]) flow.ProcessFunc[bool, int64, string] {
				seen := flow.NewMapState[int64, int](s, "seen")
				return func(even bool, n int64, out flow.Emit[string]) error {
					count, _ := seen.Get(n % 3)
					seen.Set(n%3, count+1)
					if n > 4 {
						out.To(fmt.Sprintf("even %v: %d remainders", even, seen.Len()))
					}
					return nil
				}
			})
		flow.Print(distinct)
	})
	// Output:
	// even false: 3 remainders
	// even true: 3 remainders
}

func ExampleWriteTextFiles() {
	dir, err := os.MkdirTemp("", "flow")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "out")
	run(func(env *flow.Env) {
		flow.WriteTextFiles(flow.Sequence(env, 1, 3), out, func(line []byte, n int64) []byte {
			return fmt.Appendf(line, "%d\t%d", n, n*n)
		})
	})
	text, err := os.ReadFile(filepath.Join(out, "part-00000"))
	fmt.Print(string(text), err)
	// Output:
	// 1	1
	// 2	4
	// 3	9
	// <nil>
}

func ExamplePrint() {
	run(func(env *flow.Env) { flow.Print(flow.Sequence(env, 7, 7)) })
	// Output: 7
}

func ExampleForEach() {
	run(func(env *flow.Env) {
		flow.ForEach(flow.Sequence(env, 1, 2), func(n int64) error {
			_, err := fmt.Println("got", n)
			return err
		})
	})
	// Output:
	// got 1
	// got 2
}

func ExampleParam() {
	run(func(env *flow.Env) {
		// The clock is read where the job is submitted; every worker gets that time.
		start := flow.Param(env, "start", func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) })
		flow.Print(flow.Map(flow.Sequence(env, 1, 1), func(int64) string { return start.Format(time.DateOnly) }))
	})
	// Output: 2026-01-02
}

func ExampleTryParam() {
	run(func(env *flow.Env) {
		host := flow.TryParam(env, "host", func() (string, error) {
			if name, ok := os.LookupEnv("NO_SUCH_VARIABLE"); ok {
				return name, nil
			}
			return "localhost", nil // or an error, which refuses the job
		})
		flow.Print(flow.Map(flow.Sequence(env, 1, 2), func(n int64) string { return fmt.Sprintf("%s/%d", host, n) }))
	})
	// Output:
	// localhost/1
	// localhost/2
}

func ExampleClone() {
	line := strings.Repeat("a long line ", 1000)
	word, err := flow.Clone(line[:1]) // holds one byte of memory, not the line
	fmt.Println(word, err)
	// Output: a <nil>
}

func ExampleStream_Name() {
	run(func(env *flow.Env) {
		numbers := flow.Sequence(env, 1, 1).Name("numbers").UID("numbers-v1").Parallelism(1)
		flow.Print(numbers).Name("terminal").UID("terminal")
	})
	// Output: 1
}
