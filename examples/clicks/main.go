// Command clicks counts the clicks on pages, without end: an example of a job that runs until it is cancelled.
//
//	clicks [--rate <clicks per second>]
//
// Clicks are made up, at a steady rate. After each click the page's count is printed, and after every tenth click of a user a line about
// that user.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/flott-dev/flott/flow"
)

const usage = "usage: clicks [--rate <clicks per second>]"

func main() { flow.Main(build) }

// click is one event.
type click struct {
	User string
	Page string
}

// build declares the job.
func build(env *flow.Env, args []string) error {
	rate, err := parse(args)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	env.JobName("clicks")
	clicks := flow.Generate(env, makeUp, flow.GenerateOptions{PerSecond: rate}).Name("clicks").UID("clicks")

	pages := flow.Count(flow.KeyBy(clicks, func(c click) string { return c.Page })).UID("pages")
	flow.Print(flow.Map(pages, func(c flow.KV[string, int64]) string { return fmt.Sprintf("%s\t%d", c.Key, c.Value) }))

	busy := flow.Process(flow.KeyBy(clicks, func(c click) string { return c.User }), everyTenth).Name("busy users").UID("busy")
	flow.Print(busy)
	return nil
}

// makeUp is the click number n: a few pages get most of the clicks.
func makeUp(n int64) click {
	h := uint64(n) * 0x9e3779b97f4a7c15
	h ^= h >> 29
	page := h % 16
	page = page * page / 16
	return click{User: fmt.Sprintf("user-%d", h>>32%50), Page: fmt.Sprintf("/page/%d", page)}
}

// everyTenth declares the state of busy users, and says what happens to a click.
func everyTenth(s *flow.States[string]) flow.ProcessFunc[string, click, string] {
	clicks := flow.NewValueState[int64](s, "clicks")
	return func(user string, c click, out flow.Emit[string]) error {
		n, _ := clicks.Get()
		n++
		clicks.Set(n)
		if n%10 == 0 {
			out.To(fmt.Sprintf("%s has made %d clicks, the last one on %s", user, n, c.Page))
		}
		return nil
	}
}

// parse reads the job's arguments.
func parse(args []string) (rate float64, err error) {
	f := flag.NewFlagSet("clicks", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Float64Var(&rate, "rate", 10, "clicks per second")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0, errors.New("clicks counts made-up clicks until it is cancelled")
	case err != nil:
		return 0, fmt.Errorf("clicks: %w", err)
	case f.NArg() > 0:
		return 0, fmt.Errorf("clicks: unexpected argument %s", f.Arg(0))
	case !(rate > 0):
		return 0, fmt.Errorf("clicks: --rate %v is not above 0", rate)
	}
	return rate, nil
}
