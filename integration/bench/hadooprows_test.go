package main

import (
	"errors"
	"strings"
	"testing"
)

func TestLastLine(t *testing.T) {
	got, err := lastLine([]byte("log4j:WARN no appenders\n{\"calls\":3,\"seconds\":0.5,\"cpu\":0.25}\n"))
	if want := (clientTook{Calls: 3, Seconds: 0.5, CPU: 0.25}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := lastLine([]byte("{\"bytes\":3,\"seconds\":0,\"cpu\":0}")); !errors.Is(err, errOutput) {
		t.Errorf("no time: got %v, want %v", err, errOutput)
	}
	for _, s := range []string{"", "{}x", "done"} {
		if _, err := lastLine([]byte(s)); err == nil {
			t.Errorf("%q: got no error", s)
		}
	}
}

// Each row beside Hadoop's is compared with one that exists and runs before it in each turn.
func TestHadoopRowsAreCompared(t *testing.T) {
	names := map[string]bool{"": true}
	rows := 0
	for _, g := range hadoopGroups(1) {
		for _, c := range g.cases {
			if !names[c.beside] {
				t.Errorf("%s: is beside %q, which does not run before it", c.name, c.beside)
			}
			if names[c.name] {
				t.Errorf("%s: twice", c.name)
			}
			names[c.name] = true
			rows++
			if !strings.HasPrefix(c.name, "HDFS ") && !strings.HasPrefix(c.name, "IPC, ") {
				t.Errorf("%s: named otherwise than docs/benchmarks.md says", c.name)
			}
		}
	}
	if rows != 8 {
		t.Errorf("got %d rows, want 8", rows)
	}
}
