package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// FuzzStep feeds arbitrary events, two bytes each, and checks after each step what must always hold.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 2, 0, 2, 1, 4, 0, 4, 1, 4, 2, 4, 3})
	f.Add([]byte{0, 0, 1, 0, 2, 0, 2, 1, 6, 0, 7, 1, 8, 0})
	f.Add([]byte{0, 0, 1, 0, 2, 0, 3, 0, 2, 1, 2, 2, 5, 2, 9, 0, 10, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		now := time.Unix(1000, 0)
		s, err := New(now, Config{Job: ids.JobID{1}, Epoch: 7, Graph: graphOf([]string{"a:2", "b:2", "a>b:hash"})})
		if err != nil {
			t.Fatal(err)
		}
		c := checker{t: t, s: s, deployed: map[ids.ExecutionAttemptID]bool{}}
		for i := 0; i+1 < len(script); i += 2 {
			now = now.Add(time.Second)
			c.check(s.Step(now, fuzzEvent(script[i], script[i+1])))
		}
	})
}

func fuzzEvent(kind, arg byte) Event {
	task := fmt.Sprintf("%c/%d", "ab"[arg&1], arg>>1&1)
	worker := ids.ResourceID([]string{"w0", "w1"}[arg>>2&1])
	cause := Failure{Message: "x", Secondary: arg&8 != 0}
	state := TaskState(arg >> 4 % uint8(numTaskStates))
	told := TaskUpdate{Worker: worker, Attempt: attempt(task), Generation: ids.Generation{Epoch: 7}, State: state, Failure: cause}
	switch kind % 12 {
	case 0:
		return Initialized{}
	case 1:
		return Schedule{}
	case 2:
		return SlotAdded{Slot: Slot{Allocation: ids.AllocationID{arg & 3}, Worker: worker, Index: uint32(arg & 1)}}
	case 3:
		return SlotRemoved{Allocation: ids.AllocationID{arg & 3}, Cause: cause}
	case 4, 5:
		return told
	case 6:
		return WorkerLost{Worker: worker, Cause: cause}
	case 7:
		return AttemptsLost{Attempts: []ids.ExecutionAttemptID{attempt(task)}, Cause: cause}
	case 8:
		return Cancel{}
	case 9:
		return Fail{Cause: cause}
	case 10:
		return Inventory{Worker: worker, Executions: []TaskUpdate{told}}
	}
	return Concluded{}
}

type checker struct {
	t        *testing.T
	s        *Scheduler
	deployed map[ids.ExecutionAttemptID]bool
	ended    JobState
	isEnded  bool
	terminal JobState
}

func (c *checker) check(effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Deploy:
			for _, task := range e.Tasks {
				if c.deployed[task.Attempt] {
					c.t.Errorf("%s was deployed twice", task.Attempt)
				}
				c.deployed[task.Attempt] = true
			}
			if c.isEnded {
				c.t.Error("deployed after the end")
			}
		case Ended:
			if c.isEnded && !(c.ended == JobFinished && e.State == JobFailed) {
				c.t.Errorf("ended as %s after %s", e.State, c.ended)
			}
			c.ended, c.isEnded = e.State, true
		case JobStateChanged:
			if c.terminal.Terminal() {
				c.t.Errorf("left %s for %s", c.terminal, e.State)
			}
			c.terminal = e.State
			if e.State.Terminal() && (!c.isEnded || c.ended != e.State) {
				c.t.Errorf("concluded as %s, ended %v as %s", e.State, c.isEnded, c.ended)
			}
		}
	}
	v := c.s.View()
	total, alive := 0, 0
	for state, n := range v.Counts {
		total += n
		if n < 0 {
			c.t.Errorf("%d tasks are %s", n, TaskState(state))
		}
		if !TaskState(state).Terminal() {
			alive += n
		}
	}
	if total != v.TasksTotal || (alive == 0) != c.isEnded && v.State != JobInitializing && v.State != JobCreated {
		c.t.Errorf("%d of %d tasks counted, %d alive, ended %v in state %s", total, v.TasksTotal, alive, c.isEnded, v.State)
	}
	if (v.State == JobFailing || v.State == JobFailed) && v.Cause.IsZero() {
		c.t.Errorf("%s without a cause", v.State)
	}
}
