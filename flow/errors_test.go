package flow_test

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/flott-dev/flott/flow"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

type build = func(*flow.Env, []string) error

// job makes a build function of one that cannot fail.
func job(f func(env *flow.Env)) build {
	return func(env *flow.Env, _ []string) error {
		f(env)
		return nil
	}
}

func graphOf(b build, ctx program.Context) (*program.Graph, error) { return flow.Program(b).Build(ctx) }

// order has fields that cannot be encoded, or cannot be in a key.
type order struct {
	ID    int
	Items []item
	Done  func()
}

type item struct{ Price *float64 }

func identity[T any](v T) T { return v }

var places = regexp.MustCompile(`\w+_test\.go:\d+`)

// mistakes are builds and what is said about them; AT stands for a place.
var mistakes = []struct {
	name  string
	mode  plan.RuntimeMode
	build build
	want  string
}{
	{"nothing", 0, job(func(*flow.Env) {}), `build the job: it declares no source and no sink`},
	{"the user's own", 0, func(*flow.Env, []string) error { return errors.New("usage: x") }, `usage: x`},
	{"no codec", 0, job(func(env *flow.Env) {
		orders := flow.Map(flow.Sequence(env, 1, 2), func(int64) order { return order{} })
		flow.Print(flow.Filter(orders, func(o order) bool { return o.ID > 0 }))
	}), `AT: flow.Filter: no codec for flow_test.order.Done: a func cannot be encoded; use another type, or give the type MarshalBinary and UnmarshalBinary
AT: flow.Print: no codec for flow_test.order.Done: a func cannot be encoded; use another type, or give the type MarshalBinary and UnmarshalBinary`},
	{"interface", 0, job(func(env *flow.Env) {
		flow.Print(flow.Map(flow.Sequence(env, 1, 2), func(n int64) any { return n }))
	}), `AT: flow.Print: no codec for interface {}: a value of interface type interface {} cannot be encoded; use another type, or give the type MarshalBinary and UnmarshalBinary`},
	{"key with a pointer", 0, job(func(env *flow.Env) {
		items := flow.Map(flow.Sequence(env, 1, 2), func(int64) item { return item{} })
		flow.Print(flow.Map(flow.Count(flow.KeyBy(items, identity[item])), func(flow.KV[item, int64]) int { return 0 }))
	}), `AT: flow.KeyBy: no key of flow_test.item.Price: a ptr has no value that is the same in every process`},
	{"nothing reads", 0, job(func(env *flow.Env) {
		numbers := flow.Sequence(env, 1, 2)
		flow.Map(numbers, identity[int64]).Name("lost")
		flow.Print(numbers)
		flow.KeyBy(flow.Sequence(env, 1, 2).Name("only keyed"), identity[int64])
	}), `AT: nothing reads the stream of flow.Map "lost": give it a sink, or remove it
AT: nothing reads the stream of flow.Sequence "only keyed": give it a sink, or remove it`},
	{"UID twice", 0, job(func(env *flow.Env) {
		flow.Print(flow.Sequence(env, 1, 2).UID("n")).UID("n")
	}), `AT: the UID "n" of flow.Print "Print" is taken by flow.Sequence "Sequence" (AT)`},
	{"empty UID", 0, job(func(env *flow.Env) {
		flow.Print(flow.Sequence(env, 1, 2).UID(""))
	}), `AT: UID: an empty text is no identity`},
	{"parallelism", 0, job(func(env *flow.Env) {
		flow.Print(flow.Sequence(env, 1, 2).Parallelism(0)).Parallelism(1 << 20)
	}), `AT: Parallelism: 0 is not within 1 and 32768
AT: Parallelism: 1048576 is not within 1 and 32768`},
	{"name of a union", 0, job(func(env *flow.Env) {
		n := flow.Sequence(env, 1, 2)
		flow.Print(flow.Union(n, n).Name("both"))
		flow.Print(flow.Rebalance(n).Parallelism(2))
	}), `AT: Name belongs to an operator; this stream is a union or a rebalanced stream and has none of its own
AT: Parallelism belongs to an operator; this stream is a union or a rebalanced stream and has none of its own`},
	{"nil functions", 0, job(func(env *flow.Env) {
		n := flow.Sequence(env, 1, 2)
		flow.Print(flow.Map[int64, int64](n, nil))
		flow.ForEach(n, nil)
		flow.Print(flow.Count(flow.KeyBy[int64, int64](n, nil)))
	}), `AT: flow.Map: the function is nil
AT: flow.ForEach: the function is nil
AT: flow.KeyBy: the function is nil`},
	{"paths", 0, job(func(env *flow.Env) {
		flow.Print(flow.TextFiles(env))
		flow.Print(flow.TextFiles(env, "a", ""))
	}), `AT: flow.TextFiles: no path is given
AT: flow.TextFiles: a path is empty`},
	{"sequence too long", 0, job(func(env *flow.Env) { flow.Print(flow.Sequence(env, math.MinInt64, math.MaxInt64)) }),
		`AT: flow.Sequence: there are more than 9223372036854775807 numbers from -9223372036854775808 to 9223372036854775807`},
	{"generator", 0, job(func(env *flow.Env) {
		flow.Print(flow.Generate(env, identity[int64], flow.GenerateOptions{Count: -1, PerSecond: math.NaN()}))
	}), `AT: flow.Generate: Count -1 is negative
AT: flow.Generate: PerSecond NaN is not within 0 and 1e+09`},
	{"output directories", 0, job(func(env *flow.Env) {
		n := flow.Sequence(env, 1, 2)
		flow.WriteTextFiles(n, "out", line)
		flow.WriteTextFiles(n, "out", line)
		flow.WriteTextFiles(n, "", line)
		flow.WriteTextFiles(n, "out*", line)
	}), `AT: flow.WriteTextFiles: no output directory is given
AT: flow.WriteTextFiles: output directory "out*" holds a wildcard
AT: flow.WriteTextFiles writes to "out", as does flow.WriteTextFiles (AT): give each a directory of its own`},
	{"files without end", 0, job(func(env *flow.Env) {
		flow.WriteTextFiles(flow.Generate(env, identity[int64], flow.GenerateOptions{}).Name("clicks"), "out", line)
	}), `AT: flow.WriteTextFiles finishes its files at the end of the job, and flow.Generate "clicks" (AT) never ends: bound it, or use another sink`},
	{"batch without end", plan.Batch, job(func(env *flow.Env) {
		flow.Print(flow.Generate(env, identity[int64], flow.GenerateOptions{}))
	}), `AT: flow.Generate "Generate" never ends, and execution.runtime-mode is BATCH`},
	{"states", 0, job(func(env *flow.Env) {
		flow.Print(flow.Process(flow.KeyBy(flow.Sequence(env, 1, 2), identity[int64]), func(s *flow.States[int64]) flow.ProcessFunc[int64, int64, int64] {
			flow.NewValueState[func()](s, "callback")
			return func(int64, int64, flow.Emit[int64]) error { return nil }
		}))
	}), `AT: flow.Process: state "callback": no codec for func(): a func cannot be encoded; use another type, or give the type MarshalBinary and UnmarshalBinary`},
	{"parameters", 0, job(func(env *flow.Env) {
		flow.Param(env, "n", func() int { return 1 })
		flow.Param(env, "n", func() int { return 2 })
		flow.TryParam(env, "file", func() (string, error) { return "", errors.New("no such file") })
		flow.Param(env, "chan", func() chan int { return nil })
		flow.Print(flow.Sequence(env, 1, 2))
	}), `AT: flow.Param: the name "n" is taken by an earlier parameter
AT: flow.Param: evaluate "file": no such file
AT: flow.Param: record "chan": json: unsupported type: chan int`},
	{"two jobs", 0, func(env *flow.Env, _ []string) error {
		var other flow.Stream[int64]
		graphOf(job(func(env *flow.Env) { other = flow.Sequence(env, 1, 2) }), program.Context{}) //nolint:errcheck // nothing reads it
		flow.Print(flow.Union(flow.Sequence(env, 1, 2), other))
		return nil
	}, `AT: flow.Print: the stream belongs to another job`},
}

// TestMistakes: what the compiler cannot see is said when the graph is built, all of it, with the place of the call.
func TestMistakes(t *testing.T) {
	for _, tc := range mistakes {
		t.Run(tc.name, func(t *testing.T) {
			_, err := graphOf(tc.build, program.Context{Mode: tc.mode})
			if got := places.ReplaceAllString(fmt.Sprint(err), "AT"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func line(l []byte, n int64) []byte { return fmt.Append(l, n) }

// TestThePlaceIsTheUsersCall, also where it is in a function of the user's that is called from build.
func TestThePlaceIsTheUsersCall(t *testing.T) {
	var at string
	_, err := graphOf(job(func(env *flow.Env) {
		_, _, n, _ := runtime.Caller(0)
		at = fmt.Sprintf("errors_test.go:%d: ", n+2)
		flow.Sequence(env, 1, 2)
	}), program.Context{})
	if err == nil || !strings.HasPrefix(err.Error(), at) {
		t.Errorf("got %v, want it to begin with %q", err, at)
	}
}
