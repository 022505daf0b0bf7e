package scheduler

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts in testdata anew")

// TestTranscripts runs the scenarios in testdata: each line "> command" is one step, the lines below it are its effects.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("transcript differs (run with -rewrite and look at the diff); got:\n%s", got)
			}
		})
	}
}

func replay(t *testing.T, text string) string {
	var out strings.Builder
	p := &player{t: t, now: time.Unix(1000, 0)}
	in := bufio.NewScanner(strings.NewReader(text))
	for in.Scan() {
		line := in.Text()
		switch {
		case strings.HasPrefix(line, "#") || line == "":
			out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			out.WriteString(line + "\n" + p.run(strings.TrimPrefix(line, "> ")))
		}
	}
	return out.String()
}

type player struct {
	t   *testing.T
	now time.Time
	s   *Scheduler
}

func (p *player) run(line string) string {
	p.now = p.now.Add(time.Second)
	f := strings.Fields(line)
	args := f[1:]
	switch f[0] {
	case "new":
		s, err := New(p.now, Config{Job: ids.JobID{1}, Epoch: 7, Graph: graphOf(args)})
		if err != nil {
			return "  error: " + err.Error() + "\n"
		}
		p.s = s
		return ""
	case "show":
		return p.show()
	}
	var out strings.Builder
	for _, e := range p.s.Step(p.now, p.event(f[0], args)) {
		out.WriteString("  " + effectText(e) + "\n")
	}
	return out.String()
}

func (p *player) event(name string, args []string) Event {
	rest := func(n int) Failure { return Failure{Message: strings.Join(args[n:], " ")} }
	switch name {
	case "init":
		return Initialized{}
	case "schedule":
		return Schedule{}
	case "cancel":
		return Cancel{}
	case "concluded":
		return Concluded{}
	case "fail":
		return Fail{Cause: rest(0)}
	case "slot": // allocation worker index
		return SlotAdded{Slot: Slot{Allocation: alloc(args[0]), Worker: ids.ResourceID(args[1]), Index: number(args[2]), DataAddress: "data-" + args[1]}}
	case "unslot":
		return SlotRemoved{Allocation: alloc(args[0]), Cause: rest(1)}
	case "lost":
		cause := rest(1)
		cause.Worker = ids.ResourceID(args[0])
		return WorkerLost{Worker: cause.Worker, Cause: cause}
	case "refused":
		return AttemptsLost{Attempts: []ids.ExecutionAttemptID{attempt(args[0])}, Cause: rest(1)}
	case "task": // worker task STATE [cause…]
		return update(args[0], args[1], args[2], args[3:])
	case "inventory": // worker [task=STATE…] [undelivered=task…]
		inv := Inventory{Worker: ids.ResourceID(args[0])}
		for _, a := range args[1:] {
			task, state, _ := strings.Cut(a, "=")
			if task == "undelivered" {
				inv.Undelivered = append(inv.Undelivered, attempt(state))
				continue
			}
			inv.Executions = append(inv.Executions, update(args[0], task, state, nil))
		}
		return inv
	}
	p.t.Fatalf("unknown command %q", name)
	return nil
}

func update(worker, task, state string, cause []string) TaskUpdate {
	u := TaskUpdate{Worker: ids.ResourceID(worker), Attempt: attempt(task), Generation: ids.Generation{Epoch: attempt(task).Epoch}}
	for _, s := range TaskStates() {
		if s.String() == state {
			u.State = s
		}
	}
	if len(cause) > 0 && cause[0] == "secondary:" {
		u.Failure.Secondary, cause = true, cause[1:]
	}
	u.Failure.Message = strings.Join(cause, " ")
	return u
}

func (p *player) show() string {
	v := p.s.View()
	var out strings.Builder
	fmt.Fprintf(&out, "  job %s, slots %d/%d", v.State, v.PresentSlots, v.WantedSlots)
	if !v.Cause.IsZero() {
		fmt.Fprintf(&out, ", cause: %s", v.Cause.Sentence())
	}
	out.WriteString("\n")
	for _, x := range v.Vertices {
		fmt.Fprintf(&out, "  %s %s:", x.Name, x.State)
		for i := range x.Subtasks {
			fmt.Fprintf(&out, " %s@%s", x.Subtasks[i].State, x.Subtasks[i].Worker)
		}
		out.WriteString("\n")
	}
	since := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return strconv.Itoa(int(at.Sub(v.Start()).Seconds()))
	}
	ph := v.Phases
	fmt.Fprintf(&out, "  wanted %s placed %s running %s ended %s\n", since(ph.Wanted), since(ph.Placed), since(ph.Running), since(ph.Ended))
	return out.String()
}

func effectText(e Effect) string {
	switch e := e.(type) {
	case JobStateChanged:
		return "job " + e.State.String()
	case WantSlots:
		return fmt.Sprintf("want %d slots", e.Count)
	case Deploy:
		var parts []string
		for _, t := range e.Tasks {
			parts = append(parts, fmt.Sprintf("%s in a%d", taskText(t.Attempt), t.Allocation[0]))
		}
		text := fmt.Sprintf("deploy %s %s: %s", e.Worker, e.Generation, strings.Join(parts, ", "))
		for _, l := range slices.Concat(e.Locations...) {
			text += fmt.Sprintf("\n    %c/%d-%d at %s n=%v", l.Vertex[0], l.First, l.Last, l.DataAddress, l.Attempts)
		}
		return text
	case CancelTasks:
		return fmt.Sprintf("cancel on %s: %s", e.Worker, tasksText(e.Attempts))
	case Acknowledge:
		return fmt.Sprintf("acknowledge to %s: %s", e.Worker, tasksText(e.Attempts))
	case SubtaskFailed:
		return "subtask failed " + taskText(e.Attempt)
	case Ended:
		return "ended " + e.State.String()
	}
	return fmt.Sprintf("%T", e)
}

func tasksText(list []ids.ExecutionAttemptID) string {
	var parts []string
	for _, a := range list {
		parts = append(parts, taskText(a))
	}
	return strings.Join(parts, " ")
}

// taskText writes an attempt of epoch 7 and n 0 as "a/0", another as "a/0.6-0".
func taskText(a ids.ExecutionAttemptID) string {
	text := fmt.Sprintf("%c/%d", a.Vertex[0], a.Subtask)
	if a.Epoch != 7 || a.N != 0 {
		text += fmt.Sprintf(".%d-%d", a.Epoch, a.N)
	}
	return text
}

func attempt(text string) ids.ExecutionAttemptID {
	text, other, isOther := strings.Cut(text, ".")
	a := ids.ExecutionAttemptID{Job: ids.JobID{1}, Vertex: ids.VertexID{text[0]}, Subtask: number(text[2:]), Epoch: 7}
	if isOther {
		epoch, n, _ := strings.Cut(other, "-")
		a.Epoch, a.N = ids.Epoch(number(epoch)), number(n)
	}
	return a
}

func alloc(text string) ids.AllocationID { return ids.AllocationID{byte(number(text[1:]))} }

func number(text string) uint32 {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

// graphOf reads "a:2 b:2 c:1 a>b:forward b>c:hash"; vertices have one-letter names.
func graphOf(args []string) *plan.JobGraph {
	g := &plan.JobGraph{}
	for _, a := range args {
		what, how, _ := strings.Cut(a, ":")
		from, to, isEdge := strings.Cut(what, ">")
		if !isEdge {
			g.Vertices = append(g.Vertices, plan.Vertex{
				ID: ids.VertexID{what[0]}, Name: what, Parallelism: int(number(how)), MaxParallelism: 128, Operators: []ids.OperatorID{{what[0]}},
			})
			continue
		}
		ship := map[string]plan.Ship{"forward": plan.Forward, "hash": plan.Hash, "rebalance": plan.Rebalance}[how]
		n := len(g.Edges)
		g.Edges = append(g.Edges, plan.JobEdge{ID: ids.EdgeID{byte(n)}, From: ids.VertexID{from[0]}, To: ids.VertexID{to[0]}, Ship: ship})
		for i := range g.Vertices {
			switch g.Vertices[i].Name {
			case from:
				g.Vertices[i].Out = append(g.Vertices[i].Out, n)
			case to:
				g.Vertices[i].In = append(g.Vertices[i].In, n)
			}
		}
	}
	return g
}
