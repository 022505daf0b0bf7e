package ha

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
)

// recorder is a contender that writes down what it is told; read it when the bubble rests.
type recorder struct{ events []string }

func (r *recorder) OnLeadership(e Event) {
	s := fmt.Sprintf("%v %d", e.Kind, e.Epoch)
	if e.Exit {
		s += " exit"
	}
	r.events = append(r.events, s)
}

// take returns what was told since the last take.
func (r *recorder) take() []string {
	synctest.Wait()
	out := r.events
	r.events = nil
	return out
}

func TestStandaloneEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewStandalone(2)
		defer e.Close()
		r := &recorder{}
		if err := e.Start(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if err := e.Start(t.Context(), r); err == nil {
			t.Error("a second contender was accepted")
		}
		const base = 2 << 32
		lost := errors.New("zk lost")
		for i, s := range []struct {
			do   func()
			want []string
		}{
			{func() {}, []string{"grant 8589934593"}},
			{func() { e.Hold(lost) }, []string{"hold 8589934593"}},
			{func() { e.Hold(lost) }, nil},
			{e.Grant, []string{"grant 8589934594"}},
			{e.Grant, []string{"revoke 8589934594", "grant 8589934595"}},
			{func() { e.Hold(lost); e.Revoke(nil, true) }, []string{"hold 8589934595", "revoke 8589934595 exit"}},
			{func() { e.Hold(lost); e.Revoke(nil, false) }, nil},
			{e.Grant, []string{fmt.Sprintf("grant %d", base+4)}},
		} {
			s.do()
			if got := r.take(); !slices.Equal(got, s.want) {
				t.Errorf("step %d: told %q, want %q", i, got, s.want)
			}
		}
		e.Close()
		e.Grant()
		if got := r.take(); got != nil {
			t.Errorf("after Close: told %q", got)
		}
	})
}

// TestGrantHoldGrant follows addresses and writes over a loss of ZooKeeper.
func TestGrantHoldGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewStandalone(1)
		defer e.Close()
		var seen []Leader
		stop := e.Watch(ResourceManager, func(l Leader) { seen = append(seen, l) })
		e.Start(t.Context(), &recorder{})
		first, second := ids.StandaloneEpoch(1, 1), ids.StandaloneEpoch(1, 2)
		addresses := map[Component]string{ResourceManager: "am:1", RESTServer: "http://am:8081"}
		guard := e.Guard(first)

		if err := guard(t.Context()); err != nil {
			t.Errorf("write while leading: %v", err)
		}
		if err := e.Confirm(t.Context(), first, addresses); err != nil {
			t.Errorf("confirm: %v", err)
		}
		if err := e.Confirm(t.Context(), first, addresses); err != nil {
			t.Errorf("confirm again: %v", err)
		}
		if err := e.Confirm(t.Context(), second, addresses); !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != first {
			t.Errorf("confirm another epoch: %v", err)
		}
		e.Hold(nil)
		if err := e.Confirm(t.Context(), first, addresses); !errors.Is(err, rpc.ErrOnHold) {
			t.Errorf("confirm on hold: %v", err)
		}
		if err := guard(t.Context()); !errors.Is(err, rpc.ErrOnHold) {
			t.Errorf("write on hold: %v", err)
		}
		e.Grant()
		if err := guard(t.Context()); !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != second {
			t.Errorf("write under the epoch before: %v", err)
		}
		if err := e.Confirm(t.Context(), second, addresses); err != nil {
			t.Errorf("confirm the new epoch: %v", err)
		}
		e.Revoke(nil, false)
		synctest.Wait()
		want := []Leader{{}, {"am:1", first}, {"am:1", second}, {}}
		if !slices.Equal(seen, want) {
			t.Errorf("the watcher saw %v, want %v", seen, want)
		}
		stop()
		e.Grant()
		e.Confirm(t.Context(), ids.StandaloneEpoch(1, 3), addresses)
		if len(seen) != len(want) {
			t.Error("a stopped watcher was called")
		}
		var rest Leader
		e.Watch(RESTServer, func(l Leader) { rest = l })
		synctest.Wait()
		if want := (Leader{"http://am:8081", ids.StandaloneEpoch(1, 3)}); rest != want {
			t.Errorf("a late watcher got %v, want %v", rest, want)
		}
	})
}

func TestFixed(t *testing.T) {
	job := ids.JobIDForApplication("application_1_1")
	r := Fixed{JobMaster(job): {Address: "am:2"}}
	var got []Leader
	for _, c := range []Component{JobMaster(job), Dispatcher} {
		r.Watch(c, func(l Leader) { got = append(got, l) })()
	}
	if want := []Leader{{Address: "am:2"}, {}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
