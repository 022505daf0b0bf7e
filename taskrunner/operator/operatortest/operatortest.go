// Package operatortest drives any operator through everything that package task may do to it, and checks what every operator must hold to.
//
// It is called from tests, on the test's goroutine. It knows nothing of what an operator computes, except by comparing runs: a run that is
// interrupted by a snapshot and a restore gives the same output as one that is not.
package operatortest

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"testing"

	"github.com/flott-dev/flott/taskrunner/operator"
)

// Output is an operator.Output that remembers what it gets.
type Output[T any] struct {
	Values []T
	Times  []operator.Time
	Events []operator.Event
	Err    error // returned by every call, when set
}

// Collect implements operator.Collector.
func (o *Output[T]) Collect(v T, t operator.Time) error {
	if o.Err == nil {
		o.Values, o.Times = append(o.Values, v), append(o.Times, t)
	}
	return o.Err
}

// Control implements operator.Output.
func (o *Output[T]) Control(ev operator.Event) error {
	if o.Err == nil {
		o.Events = append(o.Events, ev)
	}
	return o.Err
}

// Case describes an operator with input type I and output type O.
type Case[I, O any] struct {
	Factory operator.Factory
	Records []I             // at least two
	Times   []operator.Time // of the records; nil: they have none
	// Want is the output of all records and the end of the data; nil: not checked. It is compared with Equal, or reflect.DeepEqual.
	Want  []O
	Equal func(got, want []O) bool
	// Context is changed before Open, as far as it is set; nil: one subtask of one.
	Context func(*operator.Context)
	// Sink: the operator has no output.
	Sink bool
}

// Context returns what an operator gets in a test: one subtask, all key groups.
func Context(t testing.TB) operator.Context {
	t.Helper()
	return operator.Context{Name: t.Name(), Parallelism: 1, MaxParallelism: 128, LastKeyGroup: 127,
		Log: slog.New(slog.DiscardHandler), Send: func([]byte) {}, Mail: func(func() error) {}}
}

var errDownstream = errors.New("operatortest: the task is being cancelled")

// Conform runs every check on the operator.
func Conform[I, O any](t *testing.T, c Case[I, O]) {
	t.Helper()
	if len(c.Records) < 2 {
		t.Fatal("a case needs two records")
	}
	if c.Equal == nil {
		c.Equal = func(got, want []O) bool { return reflect.DeepEqual(got, want) }
	}
	whole := &Output[O]{}
	t.Run("run", func(t *testing.T) { c.whole(t, whole) })
	t.Run("batches", func(t *testing.T) { c.batches(t, whole) })
	t.Run("snapshot and restore", func(t *testing.T) { c.interrupted(t, whole) })
	t.Run("abort", func(t *testing.T) { c.aborted(t, whole) })
	t.Run("close without open", func(t *testing.T) {
		if err := c.make(t, &Output[O]{}).Close(); err != nil {
			t.Errorf("close an operator that was never opened: %v", err)
		}
	})
	if !c.Sink {
		t.Run("error downstream", c.cancelled)
	}
	t.Run("wrong output", func(t *testing.T) {
		if op, err := c.Factory.New(struct{}{}); err == nil {
			t.Errorf("the factory made a %T in front of something that takes no records", op)
		}
	})
}

func (c *Case[I, O]) make(t *testing.T, out *Output[O]) operator.Operator {
	t.Helper()
	var next any
	if !c.Sink {
		next = out
	}
	op, err := c.Factory.New(next)
	if err != nil {
		t.Fatalf("make the operator: %v", err)
	}
	if _, ok := op.(operator.Output[I]); !ok {
		t.Fatalf("%T does not take records of type %s", op, operator.TypeName[I]())
	}
	return op
}

func (c *Case[I, O]) open(t *testing.T, op operator.Operator) {
	t.Helper()
	ctx := Context(t)
	if c.Context != nil {
		c.Context(&ctx)
	}
	if err := op.Open(context.Background(), ctx); err != nil {
		t.Fatalf("open: %v", err)
	}
}

func (c *Case[I, O]) feed(t *testing.T, op operator.Operator, from, to int) {
	t.Helper()
	in := op.(operator.Output[I])
	for i := from; i < to; i++ {
		at := operator.NoTime
		if c.Times != nil {
			at = c.Times[i]
		}
		if err := in.Collect(c.Records[i], at); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
}

// step is one call on an operator, by name.
func step(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

var (
	watermark = operator.Event{Kind: operator.Watermark, Time: 1 << 40}
	endOfData = operator.Event{Kind: operator.EndOfData}
)

func (c *Case[I, O]) finish(t *testing.T, op operator.Operator) {
	t.Helper()
	step(t, "watermark", op.Control(watermark))
	step(t, "end of data", op.Control(endOfData))
	if f, ok := op.(operator.Finalizer); ok {
		_, err := f.Final()
		step(t, "final", err)
	}
	step(t, "close", op.Close())
}

// whole runs without interruption.
func (c *Case[I, O]) whole(t *testing.T, out *Output[O]) {
	op := c.make(t, out)
	c.open(t, op)
	c.feed(t, op, 0, len(c.Records))
	c.finish(t, op)
	if c.Want != nil && !c.Equal(out.Values, c.Want) {
		t.Errorf("output %v, want %v", out.Values, c.Want)
	}
	c.events(t, out, watermark, endOfData)
}

func (c *Case[I, O]) events(t *testing.T, out *Output[O], want ...operator.Event) {
	t.Helper()
	if !c.Sink && !reflect.DeepEqual(out.Events, want) {
		t.Errorf("handed on the events %v, want %v", out.Events, want)
	}
}

// batches hands the records over in batches of every length, when the operator takes such; that must not make a difference.
func (c *Case[I, O]) batches(t *testing.T, whole *Output[O]) {
	for size := 1; size <= len(c.Records); size++ {
		out := &Output[O]{}
		op := c.make(t, out)
		many, ok := op.(operator.Batcher[I])
		if !ok {
			return
		}
		c.open(t, op)
		for from := 0; from < len(c.Records); from += size {
			to := min(from+size, len(c.Records))
			values, times := slices.Clone(c.Records[from:to]), []operator.Time(nil)
			if c.Times != nil {
				times = slices.Clone(c.Times[from:to])
			}
			step(t, "batch", many.CollectBatch(values, times))
			clear(values) // they are the caller's again
		}
		c.finish(t, op)
		if !c.Sink && (!c.Equal(out.Values, whole.Values) || !slices.Equal(out.Times, whole.Times)) {
			t.Errorf("in batches of %d: output %v at %v, one by one %v at %v", size, out.Values, out.Times, whole.Values, whole.Times)
		}
	}
}

// interrupted takes a snapshot between any two records and goes on in a new instance.
func (c *Case[I, O]) interrupted(t *testing.T, whole *Output[O]) {
	for cut := range len(c.Records) + 1 {
		out := &Output[O]{}
		op := c.make(t, out)
		c.open(t, op)
		c.feed(t, op, 0, cut)
		barrier := operator.Event{Kind: operator.Barrier, Checkpoint: 1}
		step(t, "barrier", op.Control(barrier))
		before := len(out.Values)
		state, err := op.Snapshot(1)
		step(t, "snapshot", err)
		if len(out.Values) != before {
			t.Fatalf("snapshot after %d records emitted records behind the barrier", cut)
		}
		c.feed(t, op, cut, len(c.Records)) // what comes later is not in the snapshot
		out.Values, out.Times = out.Values[:before], out.Times[:before]
		step(t, "complete", op.Notify(1, operator.Complete))
		step(t, "close", op.Close())

		next := c.make(t, out)
		step(t, "restore", next.Restore(state))
		c.open(t, next)
		c.feed(t, next, cut, len(c.Records))
		c.finish(t, next)
		if !c.Sink && !c.Equal(out.Values, whole.Values) {
			t.Errorf("with a snapshot after %d records: output %v, without %v", cut, out.Values, whole.Values)
		}
		c.events(t, out, barrier, watermark, endOfData)
	}
}

// aborted takes a snapshot whose checkpoint is aborted; nothing may change.
func (c *Case[I, O]) aborted(t *testing.T, whole *Output[O]) {
	out := &Output[O]{}
	op := c.make(t, out)
	c.open(t, op)
	c.feed(t, op, 0, 1)
	_, err := op.Snapshot(1)
	step(t, "snapshot", err)
	step(t, "abort", op.Notify(1, operator.Abort))
	c.feed(t, op, 1, len(c.Records))
	c.finish(t, op)
	if !c.Sink && !c.Equal(out.Values, whole.Values) {
		t.Errorf("after an aborted checkpoint: output %v, want %v", out.Values, whole.Values)
	}
}

// cancelled has the output fail: the error comes up unchanged, from a record or from the end.
func (c *Case[I, O]) cancelled(t *testing.T) {
	op := c.make(t, &Output[O]{Err: errDownstream})
	c.open(t, op)
	in := op.(operator.Output[I])
	var err error
	for _, r := range c.Records {
		if err = in.Collect(r, operator.NoTime); err != nil {
			break
		}
	}
	if err == nil {
		err = op.Control(endOfData)
	}
	if !errors.Is(err, errDownstream) {
		t.Errorf("the output's error came up as %v", err)
	}
	step(t, "close", op.Close())
}

// SourceCase describes a bounded source with output type O.
type SourceCase[O any] struct {
	Factory operator.Factory
	Want    []O // nil: not checked
	Equal   func(got, want []O) bool
	Context func(*operator.Context)
	// Events are what the coordinator would answer: called before each poll with the operator, may be nil.
	Events func(t *testing.T, op operator.Operator)
}

// ConformSource runs every check on a source: it ends, snapshots between polls restore to the same rest, an error downstream comes up.
func ConformSource[O any](t *testing.T, c SourceCase[O]) {
	t.Helper()
	if c.Equal == nil {
		c.Equal = func(got, want []O) bool { return reflect.DeepEqual(got, want) }
	}
	whole := &Output[O]{}
	var polls int
	t.Run("run", func(t *testing.T) {
		op := c.make(t, whole)
		polls = c.poll(t, op, 0)
		step(t, "close", op.Close())
		if c.Want != nil && !c.Equal(whole.Values, c.Want) {
			t.Errorf("output %v, want %v", whole.Values, c.Want)
		}
	})
	t.Run("snapshot and restore", func(t *testing.T) {
		for _, cut := range []int{1, (polls + 1) / 2} {
			out := &Output[O]{}
			op := c.make(t, out)
			c.poll(t, op, cut)
			state, err := op.Snapshot(1)
			step(t, "snapshot", err)
			step(t, "close", op.Close())
			next := c.restored(t, out, state)
			c.poll(t, next, 0)
			step(t, "close", next.Close())
			if !c.Equal(out.Values, whole.Values) {
				t.Errorf("with a snapshot after %d polls: output %v, without %v", cut, out.Values, whole.Values)
			}
		}
	})
	t.Run("error downstream", func(t *testing.T) {
		op := c.make(t, &Output[O]{Err: errDownstream})
		for range 1 << 20 {
			if c.Events != nil {
				c.Events(t, op)
			}
			p, err := op.Poll()
			if errors.Is(err, errDownstream) {
				step(t, "close", op.Close())
				return
			}
			if err != nil || p.Status == operator.End {
				t.Fatalf("the output's error came up as %v", err)
			}
			await(p)
		}
		t.Fatal("the output's error did not come up")
	})
}

func (c *SourceCase[O]) make(t *testing.T, out *Output[O]) operator.Poller {
	return c.restored(t, out, nil)
}

func (c *SourceCase[O]) restored(t *testing.T, out *Output[O], state []byte) operator.Poller {
	t.Helper()
	op, err := c.Factory.New(out)
	step(t, "make", err)
	p, ok := op.(operator.Poller)
	if !ok {
		t.Fatalf("%T is no source", op)
	}
	if state != nil {
		step(t, "restore", p.Restore(state))
	}
	ctx := Context(t)
	if c.Context != nil {
		c.Context(&ctx)
	}
	step(t, "open", p.Open(context.Background(), ctx))
	return p
}

// poll polls up to limit times (0: to the end) and returns how often.
func (c *SourceCase[O]) poll(t *testing.T, op operator.Poller, limit int) (n int) {
	t.Helper()
	for limit == 0 || n < limit {
		if c.Events != nil {
			c.Events(t, op)
		}
		p, err := op.Poll()
		step(t, "poll", err)
		n++
		if p.Status == operator.End {
			return n
		}
		await(p)
	}
	return n
}

// await waits as a task would, for a source that has said how.
func await(p operator.Poll) {
	if p.Status == operator.Wait && p.Ready != nil {
		<-p.Ready
	}
}
