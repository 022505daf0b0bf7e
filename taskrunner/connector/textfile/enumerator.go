package textfile

import (
	"context"
	"fmt"
	"strings"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
)

const (
	// maxAssigned bounds the splits of one answer, so that it is a small message.
	maxAssigned = 256
	// openCost is what opening a file counts for, in bytes read, when splits are shared out.
	openCost = 256 << 10
)

// enumerator gives splits to readers.
type enumerator struct {
	src      Source
	env      operator.CoordinatorEnv
	messages wire[message]
	states   wire[enumeratorState]
	c        program.CoordinatorContext
	restored bool

	pool pool
	// given are the splits that each subtask has got since it began; while it restarts they are in returned, until it says what it holds.
	given    map[int][]split
	returned map[int][]split
	waiting  []asker
}

// asker is a reader that has asked and got no answer yet.
type asker struct {
	subtask int
	attempt ids.ExecutionAttemptID
	host    string
}

// enumeratorState is what a checkpoint holds of the enumerator: the splits that no reader has.
type enumeratorState struct{ Splits []split }

func newEnumerator(src Source, env operator.CoordinatorEnv) *enumerator {
	return &enumerator{src: src, env: env, messages: newWire[message](), states: newWire[enumeratorState](),
		given: make(map[int][]split), returned: make(map[int][]split)}
}

// Start implements program.Coordinator: it lists the files, unless their splits have been restored.
func (e *enumerator) Start(ctx context.Context, c program.CoordinatorContext) error {
	e.c = c
	if e.restored {
		return nil
	}
	files, err := list(ctx, e.env.FS, e.src.Paths)
	if err != nil {
		return err
	}
	splits := cut(files, c.Parallelism, e.src.SplitSize)
	if err := locate(ctx, files, splits); err != nil {
		e.env.Log.Warn("hosts of input files are unknown", "error", err)
	}
	e.env.Log.Info("text files listed", "files", len(files), "splits", len(splits))
	e.pool.add(splits)
	return nil
}

// HandleEvent implements program.Coordinator.
func (e *enumerator) HandleEvent(_ context.Context, subtask int, attempt ids.ExecutionAttemptID, payload []byte) error {
	m, err := e.messages.decode(payload)
	if err != nil {
		return fmt.Errorf("read a message of subtask %d: %w", subtask, err)
	}
	switch m.Kind {
	case register:
		e.settle(subtask, m.Held)
		return e.serve()
	case request:
		e.waiting = append(e.waiting, asker{subtask, attempt, shortHost(m.Host)})
		return e.serve()
	}
	return fmt.Errorf("read a message of subtask %d: kind %d is not for the enumerator", subtask, m.Kind)
}

// settle notes what a reader that has begun holds or has finished; what else it got in an earlier life goes back.
func (e *enumerator) settle(subtask int, held []splitID) {
	has := make(map[splitID]bool, len(held))
	for _, id := range held {
		has[id] = true
		e.pool.remove(id)
	}
	var back []split
	for _, s := range e.returned[subtask] {
		if has[s.ID] {
			e.given[subtask] = append(e.given[subtask], s)
		} else {
			back = append(back, s)
		}
	}
	delete(e.returned, subtask)
	e.pool.add(back)
}

// serve answers those who wait, as far as that can be decided: while a subtask restarts, its splits may come back.
func (e *enumerator) serve() error {
	var later []asker
	for _, r := range e.waiting {
		m := message{Kind: assign, Splits: e.pool.take(r.host, e.c.Parallelism)}
		if len(m.Splits) == 0 {
			if len(e.returned) > 0 {
				later = append(later, r)
				continue
			}
			m.Kind = noMore
		}
		b, err := e.messages.encode(m)
		if err != nil {
			return err
		}
		e.given[r.subtask] = append(e.given[r.subtask], m.Splits...)
		e.c.Send(r.subtask, r.attempt, b)
	}
	e.waiting = later
	return nil
}

// SubtaskReset implements program.Coordinator.
func (e *enumerator) SubtaskReset(_ context.Context, subtask int) error {
	e.returned[subtask] = append(e.returned[subtask], e.given[subtask]...)
	delete(e.given, subtask)
	var rest []asker
	for _, r := range e.waiting {
		if r.subtask != subtask {
			rest = append(rest, r)
		}
	}
	e.waiting = rest
	return nil
}

// Snapshot implements program.Coordinator.
func (e *enumerator) Snapshot(context.Context, uint64) ([]byte, error) {
	s := enumeratorState{Splits: e.pool.all()}
	for _, back := range e.returned {
		s.Splits = append(s.Splits, back...)
	}
	return e.states.encode(s)
}

// Restore implements program.Coordinator.
func (e *enumerator) Restore(_ context.Context, state []byte) error {
	s, err := e.states.decode(state)
	if err != nil {
		return fmt.Errorf("restore the enumerator of text files: %w", err)
	}
	e.restored = true
	e.pool.add(s.Splits)
	return nil
}

// Commit implements program.Coordinator; reading leaves nothing behind.
func (e *enumerator) Commit(context.Context, [][]byte) error { return nil }

// Discard implements program.Coordinator.
func (e *enumerator) Discard(context.Context) error { return nil }

// Close implements program.Coordinator.
func (e *enumerator) Close() error { return nil }

var _ program.Coordinator = (*enumerator)(nil)

// shortHost is the part of a host name that is compared.
func shortHost(h string) string {
	h, _, _ = strings.Cut(strings.ToLower(h), ".")
	return h
}

// pool is the splits that nobody has, in order, with an index by host.
type pool struct {
	splits []split
	taken  []bool
	next   int   // all before are taken
	cost   int64 // of those left
	byHost map[string][]int
	byID   map[splitID]int
}

func costOf(s *split) int64 { return s.Length + openCost }

func (p *pool) add(splits []split) {
	if p.byHost == nil {
		p.byHost, p.byID = make(map[string][]int), make(map[splitID]int)
	}
	for _, s := range splits {
		i := len(p.splits)
		p.splits, p.taken = append(p.splits, s), append(p.taken, false)
		p.byID[s.ID] = i
		for _, h := range s.Hosts {
			h = shortHost(h)
			p.byHost[h] = append(p.byHost[h], i)
		}
		p.cost += costOf(&s)
	}
}

func (p *pool) mark(i int) split {
	s := p.splits[i]
	p.taken[i] = true
	p.cost -= costOf(&s)
	p.splits[i] = split{ID: s.ID}
	return s
}

func (p *pool) remove(id splitID) {
	if i, ok := p.byID[id]; ok && !p.taken[i] {
		p.mark(i)
	}
}

// take returns the next splits for a reader on a host: a share of what is left that shrinks towards the end, at least one.
func (p *pool) take(host string, parallelism int) []split {
	share := p.cost / int64(2*max(parallelism, 1))
	var out []split
	for got := int64(0); len(out) < maxAssigned && (len(out) == 0 || got < share); {
		i := p.find(host)
		if i < 0 {
			break
		}
		got += costOf(&p.splits[i])
		if len(out) > 0 && got > share {
			break
		}
		out = append(out, p.mark(i))
	}
	return out
}

// find returns the first split on the host, else the first of all.
func (p *pool) find(host string) int {
	q := p.byHost[host]
	for len(q) > 0 && p.taken[q[0]] {
		q = q[1:]
	}
	if p.byHost != nil {
		p.byHost[host] = q
	}
	if len(q) > 0 {
		return q[0]
	}
	for p.next < len(p.splits) && p.taken[p.next] {
		p.next++
	}
	if p.next == len(p.splits) {
		return -1
	}
	return p.next
}

// all returns the splits that nobody has.
func (p *pool) all() []split {
	var out []split
	for i := range p.splits {
		if !p.taken[i] {
			out = append(out, p.splits[i])
		}
	}
	return out
}
