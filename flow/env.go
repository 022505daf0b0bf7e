package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"

	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

// Env collects the job while build runs: every source belongs to one. It belongs to the goroutine that build was called on, and is of no
// use once build has returned.
type Env struct {
	ctx    program.Context
	name   string
	ops    []*op
	params []plan.Param
	errs   []error
	seen   map[string]bool // texts of errs
}

// JobName sets the name that people see, in place of the program's.
func (e *Env) JobName(name string) { e.name = name }

// Parallelism returns the parallelism of operators that set none themselves: parallelism.default, or the -p of flott run.
func (e *Env) Parallelism() int { return e.ctx.Parallelism }

// fail records a mistake at the user's line. The same one is recorded once.
func (e *Env) fail(at, format string, args ...any) {
	text := at + ": " + fmt.Sprintf(format, args...)
	if !e.seen[text] {
		e.seen[text] = true
		e.errs = append(e.errs, errors.New(text))
	}
}

// Param returns a value that build takes from outside: the time, a random number, a file, the environment. It is evaluated once, where
// the job is submitted, and recorded; every other process gets the recorded value, so that all build the same job. The value has to
// survive JSON; names are unique in a job.
func Param[T any](env *Env, name string, eval func() T) T {
	return param(env, name, func() (T, error) { return eval(), nil })
}

// TryParam is Param with a function whose error refuses the job.
func TryParam[T any](env *Env, name string, eval func() (T, error)) T {
	return param(env, name, eval)
}

func param[T any](env *Env, name string, eval func() (T, error)) (v T) {
	at := caller()
	for _, p := range env.params {
		if p.Name == name {
			env.fail(at, "flow.Param: the name %q is taken by an earlier parameter", name)
			return v
		}
	}
	text, known := env.recorded(name)
	if !known {
		if env.ctx.Params != nil {
			env.fail(at, "flow.Param: %q was not recorded when the job was submitted: build took another way here", name)
			return v
		}
		made, err := eval()
		if err != nil {
			env.fail(at, "flow.Param: evaluate %q: %v", name, err)
			return v
		}
		b, err := json.Marshal(made)
		if err != nil {
			env.fail(at, "flow.Param: record %q: %v", name, err)
			return v
		}
		text = string(b)
	}
	env.params = append(env.params, plan.Param{Name: name, Value: text})
	// Decoded in the submitter too: what JSON drops is missing everywhere.
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		env.fail(at, "flow.Param: read %q as %s: %v", name, reflect.TypeFor[T](), err)
	}
	return v
}

func (e *Env) recorded(name string) (string, bool) {
	for _, p := range e.ctx.Params {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// here is the import path of this package, with the dot that ends it in names of functions.
var here = reflect.TypeFor[Env]().PkgPath() + "."

// caller returns file:line of the user's call: the first frame outside of this package.
func caller() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, here) {
			return fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
		}
		if !more {
			return "unknown"
		}
	}
}

// symbol names a user's function for the plan.
func symbol(f any) string {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Func || v.IsNil() {
		return ""
	}
	fn := runtime.FuncForPC(v.Pointer())
	if fn == nil {
		return v.Type().String()
	}
	return fn.Name() + " " + v.Type().String()
}
