package print_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/flott-dev/flott/taskrunner/connector/print"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
)

type point struct{ X, Y int }

func TestConforms(t *testing.T) {
	var to strings.Builder
	operatortest.Conform(t, operatortest.Case[int, int]{Factory: print.Sink[int]{To: &to}, Records: []int{1, 2}, Sink: true})
	if !strings.HasPrefix(to.String(), "1\n2\n") {
		t.Errorf("printed %q", to.String())
	}
}

func TestPrefixNamesTheSubtask(t *testing.T) {
	var to strings.Builder
	op, err := print.Sink[point]{To: &to}.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := operatortest.Context(t)
	c.Subtask, c.Parallelism = 1, 2
	if err := op.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := op.(operator.Output[point]).Collect(point{1, 2}, operator.NoTime); err != nil {
		t.Fatal(err)
	}
	if to.String() != "2> {1 2}\n" {
		t.Errorf("printed %q", to.String())
	}
}

type broken struct{}

var errPipe = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errPipe }

func TestAnErrorOfTheOutputComesUp(t *testing.T) {
	op, err := print.Sink[int]{To: broken{}}.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := op.Open(t.Context(), operatortest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if err := op.(operator.Output[int]).Collect(1, operator.NoTime); !errors.Is(err, errPipe) {
		t.Errorf("got %v, want %v", err, errPipe)
	}
}
