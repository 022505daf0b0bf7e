//go:build invariants

package actor

import (
	"fmt"
	"time"
)

// maxHandler is how long one handler may run.
const maxHandler = time.Second

// watchdog panics, on a timer's goroutine, when a handler runs too long.
type watchdog struct{ t *time.Timer }

func newWatchdog(name string) watchdog {
	t := time.AfterFunc(time.Hour, func() { panic(fmt.Sprintf("actor %s: a handler has run for more than %v", name, maxHandler)) })
	t.Stop()
	return watchdog{t}
}

func (w watchdog) begin() { w.t.Reset(maxHandler) }
func (w watchdog) end()   { w.t.Stop() }
func (w watchdog) stop()  { w.t.Stop() }
