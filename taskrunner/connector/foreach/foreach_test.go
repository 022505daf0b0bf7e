package foreach_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/flott-dev/flott/taskrunner/connector/foreach"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
)

func TestConforms(t *testing.T) {
	var got []int
	operatortest.Conform(t, operatortest.Case[int, int]{Factory: foreach.Sink[int]{F: func(v int) error {
		got = append(got, v)
		return nil
	}}, Records: []int{1, 2, 3}, Sink: true})
	if len(got) < 3 || !slices.Equal(got[:3], []int{1, 2, 3}) {
		t.Errorf("got %v", got)
	}
}

func TestTheErrorComesUp(t *testing.T) {
	full := errors.New("disk full")
	op, err := foreach.Sink[int]{F: func(int) error { return full }}.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := op.(operator.Output[int]).Collect(1, operator.NoTime); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}
