package coordinatorhost

import (
	"context"
	"sync"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
)

// worker is one coordinator with its queue. The queue is unbounded: what fills it is bounded by the streams it comes from.
type worker struct {
	op          ids.OperatorID
	name        string
	coordinator program.Coordinator
	broken      bool // own goroutine only

	mu    sync.Mutex
	queue []func(context.Context)
	wake  chan struct{}
}

func (w *worker) post(f func(context.Context)) {
	w.mu.Lock()
	w.queue = append(w.queue, f)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run executes the queue until ctx ends.
func (w *worker) run(ctx context.Context) {
	for {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, f := range queue {
			if ctx.Err() != nil {
				return
			}
			f(ctx)
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
	}
}
