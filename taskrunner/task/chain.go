package task

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/operator"
)

// chain is the opened inside of a task. It belongs to the task's goroutine.
type chain struct {
	operators  []member // head first
	poller     operator.Poller
	gate       *exchange.Gate
	heads      []operator.Head // by input of the gate
	input      inputs
	writers    []operator.EdgeWriter
	partitions []*exchange.Partition
	finished   bool

	flushAfter time.Duration // least time between two flushes of a task that waits; not positive: it does not flush
	flushed    time.Time
}

// member is one operator of the chain.
type member struct {
	id   ids.OperatorID
	name string
	op   operator.Operator
}

// port lets a writer, which knows no exchange, use one.
type port struct {
	*exchange.Port
	t *Task
}

// Offer implements operator.Port. It ends user code that emits without end once its task is cancelled.
func (p port) Offer(b operator.Shared) error {
	if p.t.ctx.Err() != nil {
		return context.Cause(p.t.ctx)
	}
	return p.Port.Offer(b)
}

var _ operator.Port = port{}

// available reports whether every output has room.
func (c *chain) available() bool {
	for _, p := range c.partitions {
		if !p.Available() {
			return false
		}
	}
	return true
}

// step works on one batch or polls once; without either it waits.
func (c *chain) step(t *Task) (ended, worked bool, err error) {
	if c.poller != nil {
		return c.poll(t)
	}
	item, ok := c.gate.Next()
	if !ok {
		c.rest()
		return false, false, t.wait(idle)
	}
	err = c.take(item)
	c.gate.Done()
	return c.input.ended(), true, err
}

// take hands one item of the gate to the chain.
func (c *chain) take(item exchange.Item) error {
	switch {
	case item.Err != nil:
		return item.Err
	case item.Batch != nil:
		return c.heads[item.Input].Batch(item.Batch)
	case item.Event != nil:
		ev, err := operator.ParseEvent(item.Event)
		if err != nil {
			return err
		}
		merged, ok, err := c.input.merge(item.Channel, ev)
		if err != nil || !ok {
			return err
		}
		return c.heads[item.Input].Control(merged)
	}
	return c.heads[item.Input].Frame(item.Frame, item.Timed)
}

// poll polls the source once.
func (c *chain) poll(t *Task) (ended, worked bool, err error) {
	p, err := c.poller.Poll()
	if err != nil {
		return false, false, err
	}
	switch p.Status {
	case operator.More:
		return false, true, nil
	case operator.Wait:
		t.count.update(c)
		c.rest()
		return false, false, t.waitSource(p)
	case operator.End:
		if err := c.poller.Control(operator.Event{Kind: operator.Watermark, Time: math.MaxInt64}); err != nil {
			return false, false, err
		}
		return true, true, c.poller.Control(operator.Event{Kind: operator.EndOfData})
	}
	return false, false, fmt.Errorf("source %q answered a poll with %d", c.operators[0].name, p.Status)
}

// rest hands on what the outputs hold, because the task is about to wait: that the batches fill would only take time. It does so twice
// per buffer timeout at most, so that a consumer of a task that waits often gets batches worth its while; what is held back then, the
// exchange's timer sends.
func (c *chain) rest() {
	if c.flushAfter <= 0 || len(c.writers) == 0 {
		return
	}
	now := time.Now()
	if now.Sub(c.flushed) < c.flushAfter {
		return
	}
	c.flushed = now
	for _, w := range c.writers {
		w.Flush()
	}
	for _, p := range c.partitions {
		p.Idle()
	}
}

// waitSource waits as a source has asked to.
func (t *Task) waitSource(p operator.Poll) error {
	var after <-chan time.Time
	if p.After > 0 {
		if t.timer == nil {
			t.timer = time.NewTimer(p.After)
		} else {
			t.timer.Reset(p.After)
		}
		defer t.timer.Stop()
		after = t.timer.C
	}
	t.clock.begin(idle, time.Now())
	defer func() { t.clock.end(time.Now()) }()
	select {
	case <-p.Ready:
	case <-after:
	case <-t.wake:
	case <-t.ctx.Done():
		// The loop sees it.
	}
	return nil
}

// event hands a coordinator's payload to its operator.
func (c *chain) event(op ids.OperatorID, payload []byte) error {
	for i := range c.operators {
		m := &c.operators[i]
		if m.id != op {
			continue
		}
		h, ok := m.op.(operator.EventHandler)
		if !ok {
			return fmt.Errorf("operator %q got an event of its coordinator and takes none", m.name)
		}
		return h.HandleEvent(payload)
	}
	return fmt.Errorf("event for operator %s, which is not in this task", op)
}

// finals collects what the operators leave for their committers.
func (c *chain) finals() (map[ids.OperatorID][]byte, error) {
	var out map[ids.OperatorID][]byte
	for i := range c.operators {
		m := &c.operators[i]
		f, ok := m.op.(operator.Finalizer)
		if !ok {
			continue
		}
		b, err := f.Final()
		if err != nil {
			return nil, fmt.Errorf("finish operator %q: %w", m.name, err)
		}
		if out == nil {
			out = make(map[ids.OperatorID][]byte)
		}
		out[m.id] = b
	}
	return out, nil
}

// close closes every operator once, head first.
func (c *chain) close() error {
	var errs []error
	for len(c.operators) > 0 {
		m := c.operators[0]
		c.operators = c.operators[1:] // first, so that one that panics is not closed again
		if err := m.op.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close operator %q: %w", m.name, err))
		}
	}
	return errors.Join(errs...)
}

// finish ends the channels after the last record.
func (c *chain) finish() error {
	for _, w := range c.writers {
		if err := w.Control(operator.Event{Kind: operator.EndOfPartition}); err != nil {
			return err
		}
	}
	for _, p := range c.partitions {
		p.Finish()
	}
	c.finished = true
	return nil
}

// abort gives back what the exchange holds for the task; channels that have not been finished fail with the cause.
func (c *chain) abort(cause error) {
	if !c.finished {
		for _, p := range c.partitions {
			p.Fail(cause)
		}
	}
	if c.gate != nil {
		c.gate.Close()
	}
}

// inputs merges the events of all channels. Channels belong to groups: one for an operator that takes every input alike, else one per
// input.
type inputs struct {
	channels []inputChannel
	groups   []inputGroup
	open     int // channels that have not ended
}

type inputChannel struct {
	group     int
	watermark operator.Time
	ended     bool // no data follows
}

type inputGroup struct {
	watermark operator.Time // handed on
	open      int           // channels with data
}

func (in *inputs) add(group int) {
	for len(in.groups) <= group {
		in.groups = append(in.groups, inputGroup{watermark: operator.NoTime})
	}
	in.groups[group].open++
	in.channels = append(in.channels, inputChannel{group: group, watermark: operator.NoTime})
	in.open++
}

// ended reports whether every channel has ended.
func (in *inputs) ended() bool { return in.open == 0 }

// merge takes an event of one channel and returns the one that the operator gets, if any.
func (in *inputs) merge(channel int, ev operator.Event) (operator.Event, bool, error) {
	c := &in.channels[channel]
	g := &in.groups[c.group]
	switch ev.Kind {
	case operator.Watermark:
		c.watermark = max(c.watermark, ev.Time)
		low := operator.Time(math.MaxInt64)
		for i := range in.channels {
			if o := &in.channels[i]; o.group == c.group && !o.ended {
				low = min(low, o.watermark)
			}
		}
		if c.ended || low <= g.watermark {
			return ev, false, nil
		}
		g.watermark = low
		ev.Time = low
		return ev, true, nil
	case operator.EndOfData:
		if c.ended {
			return ev, false, fmt.Errorf("channel %d ended its data twice", channel)
		}
		c.ended = true
		g.open--
		return ev, g.open == 0, nil
	case operator.EndOfPartition:
		if !c.ended || in.open == 0 {
			return ev, false, fmt.Errorf("channel %d ended before its data", channel)
		}
		in.open--
		return ev, false, nil
	}
	return ev, false, fmt.Errorf("channel %d carries a %s, which this task cannot align", channel, ev.Kind)
}

// groupOf is the input group of an edge.
func groupOf(head operator.Operator, e plan.JobEdge) int {
	if _, ok := head.(operator.MultiInput); ok {
		return e.Input
	}
	return 0
}
