package roles

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/zkha/ha"
)

// numbers is a job without flow: numbers, split by key, are added up in a sink that the test can read.
type numbers struct {
	n       int64 // 0: without end
	fail    error // of the sink, at its first record
	started func()

	mu   sync.Mutex
	sums map[int64]int64
}

const keysOfNumbers = 10

type numberSource struct {
	operator.Base[int64]
	job *numbers
	at  int64
}

func (s *numberSource) Open(ctx context.Context, c operator.Context) error {
	s.at = int64(c.Subtask)
	return s.Base.Open(ctx, c)
}

func (s *numberSource) Poll() (operator.Poll, error) {
	for range operator.MaxBatch {
		if s.job.n > 0 && s.at >= s.job.n {
			return operator.Poll{Status: operator.End}, nil
		}
		if err := s.Next.Collect(s.at, operator.NoTime); err != nil {
			return operator.Poll{}, err
		}
		s.at += int64(s.Parallelism)
	}
	return operator.Poll{Status: operator.More}, nil
}

type numberSink struct {
	operator.SinkBase
	job  *numbers
	once sync.Once
}

func (s *numberSink) Collect(v int64, _ operator.Time) error {
	s.once.Do(func() {
		if s.job.started != nil {
			s.job.started()
		}
	})
	if s.job.fail != nil {
		return s.job.fail
	}
	s.job.mu.Lock()
	defer s.job.mu.Unlock()
	s.job.sums[v%keysOfNumbers] += v
	return nil
}

func (j *numbers) Build(ctx program.Context) (*program.Graph, error) {
	codec, err := operator.CodecOf[int64]()
	if err != nil {
		return nil, err
	}
	key, err := operator.KeyOf[int64]()
	if err != nil {
		return nil, err
	}
	source, sink, edge := ids.OperatorIDForUID("source"), ids.OperatorIDForUID("sink"), ids.EdgeIDFor(ids.OperatorIDForUID("source"), ids.OperatorIDForUID("sink"), 0, 0)
	return &program.Graph{
		Plan: &plan.Plan{
			Version: plan.Version, Name: "numbers " + strings.Join(ctx.Args, " "),
			Operators: []plan.Operator{
				{ID: source, UID: "source", Name: "numbers", Kind: plan.Source, Bounded: j.n > 0},
				{ID: sink, UID: "sink", Name: "sums", Kind: plan.Sink},
			},
			Edges: []plan.Edge{{ID: edge, From: source, To: sink, Ship: plan.Hash, Type: "int64", Codec: "int64"}},
		},
		Nodes: map[ids.OperatorID]any{
			source: operator.Transform[int64](func(next operator.Output[int64]) (operator.Operator, error) {
				s := &numberSource{job: j}
				s.Next = next
				return s, nil
			}),
			sink: operator.Terminal(func() (operator.Operator, error) { return &numberSink{job: j}, nil }),
		},
		Edges: map[ids.EdgeID]any{
			edge: operator.HashEdge[int64, int64]{Edge: operator.Edge[int64]{Codec: codec}, Key: key, Of: func(v int64) int64 { return v % keysOfNumbers }},
		},
	}, nil
}

func local(t *testing.T, j *numbers, change func(*Local)) Local {
	t.Helper()
	j.sums = make(map[int64]int64)
	l := Local{Program: j, Args: []string{"a"}, Parallelism: 3, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&l)
	}
	return l
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestALocalJobFinishes(t *testing.T) {
	for name, change := range map[string]func(*Local){
		"in memory": nil,
		"over TCP":  func(l *Local) { l.TCP = true },
		"parallelism 1": func(l *Local) {
			l.Parallelism = 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := &numbers{n: 10_000}
			if err := local(t, j, change).Run(within(t, 30*time.Second)); err != nil {
				t.Fatal(err)
			}
			var sum int64
			for _, s := range j.sums {
				sum += s
			}
			if want := int64(10_000 * 9_999 / 2); sum != want || len(j.sums) != keysOfNumbers {
				t.Errorf("got sum %d over %d keys, want %d over %d", sum, len(j.sums), want, keysOfNumbers)
			}
		})
	}
}

func TestALocalJobFailsWithItsCause(t *testing.T) {
	j := &numbers{n: 100, fail: errors.New("no such customer")}
	err := local(t, j, nil).Run(within(t, 30*time.Second))
	if err == nil || !strings.Contains(err.Error(), "no such customer") {
		t.Errorf("got %v, want the sink's error", err)
	}
}

func TestAnEndlessLocalJobIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	defer cancel()
	j := &numbers{started: cancel}
	err := local(t, j, nil).Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("got %v, want that the job was cancelled", err)
	}
}

// TestHoldAndGrant drives leadership of a running local cluster: after hold and grant the job runs under a new epoch, to its end.
func TestHoldAndGrant(t *testing.T) {
	election := ha.NewStandalone(1)
	defer election.Close()
	running := make(chan struct{}, 100)
	j := &numbers{started: func() {
		select {
		case running <- struct{}{}:
		default:
		}
	}}
	ctx, cancel := context.WithCancel(within(t, 60*time.Second))
	defer cancel()
	done := make(chan error, 1)
	l := local(t, j, func(l *Local) {
		l.election = election
		c, _, err := (&conf.Config{}).With("test", conf.HeartbeatInterval.Setting(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		l.Conf = c
	})
	go func() { done <- l.Run(ctx) }()
	await := func(what string) {
		t.Helper()
		select {
		case <-running:
		case err := <-done:
			t.Fatalf("%s: the job ended with %v", what, err)
		}
	}
	await("first grant")
	election.Hold(errors.New("ZooKeeper is away"))
	election.Grant()
	for range 3 {
		await("after the second grant")
	}
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("got %v, want that the job was cancelled", err)
	}
}
