package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flott-dev/flott/flow"
	"github.com/flott-dev/flott/flow/flowtest"
)

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"":             "10",
		"--rate 2.5":   "2.5",
		"--rate 0":     "not above 0",
		"--rate NaN":   "not above 0",
		"--rate":       "flag needs an argument",
		"--rate 1 now": "unexpected argument now",
		"--rat 1":      "not defined: -rat",
	} {
		rate, err := parse(strings.Fields(args))
		got := fmt.Sprint(rate)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
}

func TestEveryTenth(t *testing.T) {
	var in []click
	for i := range 25 {
		in = append(in, click{User: "ann", Page: fmt.Sprintf("/%d", i)}, click{User: fmt.Sprintf("user-%d", i), Page: "/"})
	}
	got := flowtest.Run(t, in, func(s flow.Stream[click]) flow.Stream[string] {
		return flow.Process(flow.KeyBy(s.Parallelism(1), func(c click) string { return c.User }), everyTenth)
	})
	want := []string{"ann has made 10 clicks, the last one on /9", "ann has made 20 clicks, the last one on /19"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBuildIsDeterministic(t *testing.T) { flowtest.Deterministic(t, build, "--rate", "5") }
