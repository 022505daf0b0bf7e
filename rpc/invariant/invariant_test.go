package invariant

import "testing"

func TestFailf(t *testing.T) {
	defer func() {
		if got, want := recover(), "invariant violated: actor: x is 3"; got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	Failf("actor: x is %d", 3)
}
