package main

import (
	"testing"

	"github.com/flott-dev/flott/flow"
)

func TestRun(t *testing.T) {
	for _, args := range [][]string{{"-records", "20000", "-keys", "7"}, {"-records", "2000", "-sum"}, {"-records", "20", "-rate", "1000"}} {
		if err := flow.Run(t.Context(), build, args...); err != nil {
			t.Errorf("keyedsum %v: %v", args, err)
		}
	}
	if err := flow.Run(t.Context(), build, "-keys", "0"); err == nil {
		t.Error("no keys were accepted")
	}
}

func TestPayloads(t *testing.T) {
	a, b := payloads(), payloads()
	for i := range a {
		if len(a[i]) != 64 || a[i] != b[i] {
			t.Fatalf("payload %d is %q and %q, want twice the same 64 bytes", i, a[i], b[i])
		}
	}
}
