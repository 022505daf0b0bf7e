package task_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/memory"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/state"
	"github.com/flott-dev/flott/taskrunner/task"
)

// event is the record of the tests: a key, a value and a payload that refers to memory.
type event struct {
	Key     int64
	Value   int64
	Payload string
}

// sequence is a source of n events, split over the subtasks.
type sequence struct {
	operator.Base[event]
	n, at   int64
	payload []string
}

func newSequence(n int64) operator.Transform[event] {
	return func(next operator.Output[event]) (operator.Operator, error) {
		s := &sequence{n: n}
		s.Next = next
		return s, nil
	}
}

func (s *sequence) Open(ctx context.Context, c operator.Context) error {
	for i := range 16 {
		s.payload = append(s.payload, fmt.Sprintf("%064d", i))
	}
	s.at = int64(c.Subtask)
	return s.Base.Open(ctx, c)
}

func (s *sequence) Poll() (operator.Poll, error) {
	for range operator.MaxBatch {
		if s.at >= s.n {
			return operator.Poll{Status: operator.End}, nil
		}
		if err := s.Next.Collect(event{s.at % keys, s.at, s.payload[s.at%16]}, operator.NoTime); err != nil {
			return operator.Poll{}, err
		}
		s.at += int64(s.Parallelism)
	}
	return operator.Poll{Status: operator.More}, nil
}

const keys = 1000

// mapper applies a function.
type mapper[I, O any] struct {
	operator.Base[O]
	f func(I) O
}

func newMapper[I, O any](f func(I) O) operator.Transform[O] {
	return func(next operator.Output[O]) (operator.Operator, error) {
		m := &mapper[I, O]{f: f}
		m.Next = next
		return m, nil
	}
}

func (m *mapper[I, O]) Collect(v I, t operator.Time) error { return m.Next.Collect(m.f(v), t) }

// summer adds values by key and emits every sum.
type summer struct {
	operator.Base[event]
	sums *state.Table[int64, int64]
}

func newSummer(next operator.Output[event]) (operator.Operator, error) {
	s := &summer{}
	s.Next = next
	return s, nil
}

func (s *summer) Open(ctx context.Context, c operator.Context) error {
	key, err := operator.KeyOf[int64]()
	if err != nil {
		return err
	}
	s.sums, err = state.New(state.Config[int64, int64]{Key: key.Hasher(), KeyCodec: operator.MustCodec[int64](), ValueCodec: operator.MustCodec[int64](),
		MaxParallelism: c.MaxParallelism, FirstKeyGroup: c.FirstKeyGroup, LastKeyGroup: c.LastKeyGroup})
	if err != nil {
		return err
	}
	return s.Base.Open(ctx, c)
}

func (s *summer) Collect(v event, t operator.Time) error {
	sum, err := s.sums.Update(v.Key)
	if err != nil {
		return err
	}
	*sum += v.Value
	v.Value = *sum
	return s.Next.Collect(v, t)
}

// results collects what the sinks of all subtasks get.
type results struct {
	mu    sync.Mutex
	last  map[int64]int64 // key -> last value
	count int
	ended int
}

type sink struct {
	operator.SinkBase
	r    *results
	last map[int64]int64
	n    int
}

func (s *sink) Collect(v event, _ operator.Time) error {
	if v.Payload != fmt.Sprintf("%064d", v.Key%8+0) && len(v.Payload) != 64 {
		return fmt.Errorf("payload %q", v.Payload)
	}
	s.last[v.Key] = v.Value
	s.n++
	return nil
}

func (s *sink) Control(ev operator.Event) error {
	if ev.Kind == operator.EndOfData {
		s.r.mu.Lock()
		defer s.r.mu.Unlock()
		s.r.ended++
		s.r.count += s.n
		maps.Copy(s.r.last, s.last)
	}
	return nil
}

func (s *sink) Final() ([]byte, error) { return fmt.Appendf(nil, "%d", s.n), nil }

func id(b byte) (x [16]byte) {
	x[0] = b
	return x
}

// pipeline is source -> map -> hash -> sum -> sink, with p subtasks on each side.
func pipeline(t testing.TB, n int64, p int, head operator.Factory, r *results) (*program.Graph, *plan.JobGraph) {
	t.Helper()
	codec, err := operator.CodecOf[event]()
	if err != nil {
		t.Fatal(err)
	}
	key, err := operator.KeyOf[int64]()
	if err != nil {
		t.Fatal(err)
	}
	if head == nil {
		head = newSequence(n)
	}
	pl := &plan.Plan{Version: plan.Version, Name: "test", Parallelism: p}
	add := func(k plan.Kind, name string, i byte) {
		pl.Operators = append(pl.Operators, plan.Operator{ID: id(i), Name: name, Kind: k, Bounded: true})
		if i > 1 {
			ship := plan.Natural
			if i == 3 {
				ship = plan.Hash
			}
			pl.Edges = append(pl.Edges, plan.Edge{ID: id(i), From: id(i - 1), To: id(i), Ship: ship})
		}
	}
	add(plan.Source, "numbers", 1)
	add(plan.Transform, "map", 2)
	add(plan.Transform, "sum", 3)
	add(plan.Sink, "out", 4)
	pl, err = pl.Resolve(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	jg, err := plan.Chain(pl)
	if err != nil {
		t.Fatal(err)
	}
	g := &program.Graph{Plan: pl, Nodes: map[ids.OperatorID]any{
		id(1): head,
		id(2): newMapper(func(e event) event { e.Value++; return e }),
		id(3): operator.Transform[event](newSummer),
		id(4): operator.Terminal(func() (operator.Operator, error) {
			return &sink{r: r, last: make(map[int64]int64)}, nil
		}),
	}, Edges: map[ids.EdgeID]any{
		id(2): operator.Edge[event]{Codec: codec},
		id(3): operator.HashEdge[event, int64]{Edge: operator.Edge[event]{Codec: codec}, Key: key, Of: func(e event) int64 { return e.Key }},
		id(4): operator.Edge[event]{Codec: codec},
	}}
	return g, jg
}

// cluster runs the tasks of a job graph on several exchanges, as several workers would.
type cluster struct {
	t         testing.TB
	exchanges []*exchange.Exchange
	tasks     []*task.Task

	mu      sync.Mutex
	updates map[ids.ExecutionAttemptID][]task.Update
	fatal   []error
}

func newCluster(t testing.TB, workers int, buffer time.Duration) *cluster {
	t.Helper()
	c := &cluster{t: t, updates: make(map[ids.ExecutionAttemptID][]task.Update)}
	for range workers {
		cfg := exchange.Config{BufferTimeout: buffer}
		if workers > 1 {
			net, err := memory.NewNetwork(16 << 20)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Pool, err = net.Share(16 << 20); err != nil {
				t.Fatal(err)
			}
			cfg.Bind = "127.0.0.1:0"
		}
		e, err := exchange.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.exchanges = append(c.exchanges, e)
	}
	t.Cleanup(func() {
		for _, e := range c.exchanges {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

// deploy puts subtask i of vertex v on worker (v+i) modulo the number of workers, so that with two workers every second channel is remote.
func (c *cluster) deploy(g *program.Graph, jg *plan.JobGraph, change func(*task.Config)) {
	c.t.Helper()
	at := make(map[ids.VertexID]int)
	for i := range jg.Vertices {
		at[jg.Vertices[i].ID] = i
	}
	gen := ids.Generation{Epoch: 1}
	worker := func(v ids.VertexID, subtask int) *exchange.Exchange {
		return c.exchanges[(at[v]+subtask)%len(c.exchanges)]
	}
	for i := range jg.Vertices {
		v := &jg.Vertices[i]
		for s := range v.Parallelism {
			cfg := task.Config{Attempt: ids.ExecutionAttemptID{Vertex: v.ID, Subtask: uint32(s), Epoch: 1}, Generation: gen,
				Graph: g, Plan: g.Plan, JobGraph: jg, Exchange: worker(v.ID, s),
				Locate: func(v ids.VertexID, subtask int) (exchange.Location, bool) {
					return exchange.Location{Addr: worker(v, subtask).Addr(), Generation: gen}, true
				},
				OnUpdate: c.update, Fatal: func(err error) {
					c.mu.Lock()
					defer c.mu.Unlock()
					c.fatal = append(c.fatal, err)
				}}
			if change != nil {
				change(&cfg)
			}
			tk, err := task.New(cfg)
			if err != nil {
				c.t.Fatal(err)
			}
			c.tasks = append(c.tasks, tk)
		}
	}
	for _, tk := range c.tasks {
		tk.Start()
	}
}

func (c *cluster) update(u task.Update) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updates[u.Attempt] = append(c.updates[u.Attempt], u)
}

func (c *cluster) wait() {
	c.t.Helper()
	for _, tk := range c.tasks {
		tk.Wait()
	}
}

// last returns the final update of each task, in the order of deployment.
func (c *cluster) last() []task.Update {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []task.Update
	for _, tk := range c.tasks {
		us := c.updates[tk.Attempt()]
		out = append(out, us[len(us)-1])
	}
	return out
}

func TestKeyedSum(t *testing.T) {
	const n = 100_000
	for _, workers := range []int{1, 2} {
		for _, copies := range []bool{false, true} {
			for _, buffer := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond, -1} {
				t.Run(fmt.Sprintf("workers=%d/copy=%v/buffer=%s", workers, copies, buffer), func(t *testing.T) {
					n := int64(n)
					if buffer == 0 {
						n /= 20
					}
					r := &results{last: make(map[int64]int64)}
					g, jg := pipeline(t, n, 2, nil, r)
					c := newCluster(t, workers, buffer)
					c.deploy(g, jg, func(cfg *task.Config) { cfg.CopyValues = copies })
					c.wait()
					checkSums(t, c, r, n)
				})
			}
		}
	}
}

func checkSums(t *testing.T, c *cluster, r *results, n int64) {
	t.Helper()
	var in, out uint64
	for i, u := range c.last() {
		if u.State != task.Finished {
			t.Fatalf("task %s: state %s (%v), want FINISHED", c.tasks[i].Name(), u.State, u.Failure)
		}
		in += u.Metrics.RecordsIn
		out += u.Metrics.RecordsOut
		if c.tasks[i].Attempt().Vertex == id(3) && string(u.Finals[id(4)]) != fmt.Sprint(u.Metrics.RecordsIn) {
			t.Errorf("task %s: finals %q, want the number of records %d", c.tasks[i].Name(), u.Finals[id(4)], u.Metrics.RecordsIn)
		}
	}
	if in != uint64(n) || out != uint64(n) || r.count != int(n) || r.ended != 2 {
		t.Errorf("records: %d in, %d out, %d at the sinks, %d sinks ended; want %d and 2", in, out, r.count, r.ended, n)
	}
	want := make(map[int64]int64)
	for i := range n {
		want[i%keys] += i + 1
	}
	if !maps.Equal(r.last, want) {
		t.Errorf("sums differ: got %d keys, want %d", len(r.last), len(want))
	}
}
