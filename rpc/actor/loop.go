package actor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrStopped answers calls on a loop that is closed or closing; the closure did not run, or its answer never came.
var ErrStopped = errors.New("actor: stopped")

// Config is what New may be told. The zero value is usable.
type Config[S any] struct {
	// OnStop runs on the loop as its last closure. It may not start work.
	OnStop func(*S)
}

// Loop owns one *S and the goroutine that may touch it. Its methods are safe for concurrent use.
type Loop[S any] struct {
	name   string
	onStop func(*S)
	state  *S

	ctx    context.Context // of work started with Go
	cancel context.CancelFunc
	work   sync.WaitGroup
	wake   chan struct{} // one slot: the mailbox is no longer empty, or the loop shall stop
	done   chan struct{} // closed when the loop has ended and its work has returned

	mu      sync.Mutex
	queue   []func(*S)
	since   time.Time // when queue was last empty and got an entry
	started bool
	closing bool
	timers  map[*timer]struct{}

	stats counters
}

// New makes a loop and its state. build gets the Self that the state keeps; it runs at once, on the caller's goroutine, and may
// already Post and set timers. Nothing runs before Start.
func New[S any](name string, build func(Self[S]) *S, cfg Config[S]) *Loop[S] {
	l := &Loop[S]{
		name: name, onStop: cfg.OnStop,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		timers: map[*timer]struct{}{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.state = build(Self[S]{l})
	return l
}

// Name returns the name given to New.
func (l *Loop[S]) Name() string { return l.name }

// Start starts the goroutine, unless the loop is closed already. The end of ctx begins the same stop as Close. Its values reach the
// work. Call it once.
func (l *Loop[S]) Start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started {
		panic("actor " + l.name + ": started twice")
	}
	if l.closing {
		return
	}
	l.started = true
	stop := context.AfterFunc(ctx, l.beginStop)
	l.ctx, l.cancel = withCancel(ctx, l.cancel)
	go l.run(stop)
}

// withCancel makes the context of work: it has ctx's values, not its end (queued closures still run after that), and old ends too.
func withCancel(ctx context.Context, old context.CancelFunc) (context.Context, context.CancelFunc) {
	c, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return c, func() { old(); cancel() }
}

// Close stops the loop and waits for its goroutine and its work. It may be called more than once and concurrently, not from the loop.
func (l *Loop[S]) Close() {
	l.beginStop()
	<-l.done
	l.work.Wait() // of a loop that was never started
}

// Done is closed when the loop has ended.
func (l *Loop[S]) Done() <-chan struct{} { return l.done }

func (l *Loop[S]) beginStop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return
	}
	l.closing = true
	for t := range l.timers {
		t.t.Stop()
	}
	clear(l.timers)
	if !l.started {
		l.cancel()
		close(l.done)
		return
	}
	if l.onStop != nil {
		if len(l.queue) == 0 {
			l.since = time.Now()
		}
		l.queue = append(l.queue, l.onStop)
	}
	l.signal()
}

// signal needs no lock: the one slot means "look again".
func (l *Loop[S]) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Post queues f and reports whether it will run. It never blocks.
func (l *Loop[S]) Post(f func(*S)) bool {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return false
	}
	if len(l.queue) == 0 {
		l.since = time.Now()
	}
	l.queue = append(l.queue, f)
	first := len(l.queue) == 1
	l.mu.Unlock()
	if first {
		l.signal()
	}
	return true
}

func (l *Loop[S]) run(unlink func() bool) {
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("actor %s: %v", l.name, r)) // the trace still shows the handler's frames
		}
		unlink()
		l.beginStop() // a handler ended the goroutine (runtime.Goexit): nobody may wait for ever
		l.cancel()
		l.work.Wait()
		close(l.done)
	}()
	w := newWatchdog(l.name)
	defer w.stop()
	var batch []func(*S)
	for {
		var closing bool
		batch, closing = l.take(batch)
		if len(batch) == 0 {
			if closing {
				return
			}
			<-l.wake
			continue
		}
		for i, f := range batch {
			w.begin()
			f(l.state)
			w.end()
			batch[i] = nil
			l.stats.handled.Add(1)
		}
		l.stats.endBatch()
	}
}

// take swaps the mailbox for the emptied slice of the last batch.
func (l *Loop[S]) take(empty []func(*S)) (batch []func(*S), closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch = l.queue
	if cap(empty) > maxKept {
		empty = nil // a burst is over: give its memory back
	}
	l.queue = empty[:0]
	if len(batch) > 0 {
		l.stats.beginBatch(len(batch), l.since)
	}
	return batch, l.closing
}

// maxKept is how many entries of capacity an idle mailbox keeps.
const maxKept = 4096

type timer struct {
	t    *time.Timer
	dead atomic.Bool
}

// after arms a timer whose closure goes through the mailbox.
func (l *Loop[S]) after(d time.Duration, f func(*S)) *timer {
	t := &timer{}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		t.dead.Store(true)
		return t
	}
	l.timers[t] = struct{}{}
	t.t = time.AfterFunc(d, func() {
		l.mu.Lock()
		delete(l.timers, t)
		l.mu.Unlock()
		l.Post(func(s *S) {
			if t.dead.CompareAndSwap(false, true) {
				f(s)
			}
		})
	})
	return t
}

func (l *Loop[S]) cancelTimer(t *timer) bool {
	if !t.dead.CompareAndSwap(false, true) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.timers, t)
	t.t.Stop()
	return true
}
