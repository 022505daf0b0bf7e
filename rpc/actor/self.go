package actor

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/rpc/invariant"
)

// Self is what the state of a loop may do with its own loop. It is a small value; copies are equal.
type Self[S any] struct{ l *Loop[S] }

// Post queues f behind everything queued so far; false when the loop is closing. It may be called from any goroutine.
func (s Self[S]) Post(f func(*S)) bool { return s.l.Post(f) }

// Now returns the time.
func (s Self[S]) Now() time.Time { return time.Now() }

// After runs f on the loop when d has passed. The returned function cancels it and reports whether it did: called on the loop, true
// means that f will never run, also when the timer has fired and f is queued.
func (s Self[S]) After(d time.Duration, f func(*S)) (cancel func() bool) {
	t := s.l.after(d, f)
	return func() bool { return s.l.cancelTimer(t) }
}

// Go runs work on a goroutine of its own and then passes its result to then on the loop. work's context ends when the loop has
// stopped; Close waits for work. When the loop is closing before work has begun, neither runs; when it is by the end of work, then does
// not run, and a result without error that implements io.Closer is closed.
func Go[S, T any](self Self[S], work func(ctx context.Context) (T, error), then func(*S, T, error)) {
	l := self.l
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return
	}
	ctx := l.ctx
	l.work.Add(1)
	l.mu.Unlock()
	go func() {
		defer l.work.Done()
		v, err := work(ctx)
		if l.Post(func(s *S) { then(s, v, err) }) || err != nil {
			return
		}
		if c, ok := any(v).(io.Closer); ok {
			c.Close()
		}
	}()
}

type result[T any] struct {
	v   T
	err error
}

// Call runs f on the loop and returns its answer. The error is f's, ErrStopped (f did not run), or ctx's: f did not run if the answer
// was not awaited long enough for its turn to come, else it ran or runs and its answer is lost.
func Call[S, T any](ctx context.Context, l *Loop[S], f func(*S) (T, error)) (T, error) {
	return Ask(ctx, l, func(s *S, r Reply[T]) { r.Send(f(s)) })
}

// Reply answers one Ask, from any goroutine, later if need be.
type Reply[T any] struct{ p *pending[T] }

type pending[T any] struct {
	sent atomic.Bool
	ch   chan result[T]
}

// Send answers. Only the first Send counts; a second one is a programming error, which panics under the tag "invariants".
func (r Reply[T]) Send(v T, err error) {
	if !r.p.sent.CompareAndSwap(false, true) {
		if invariant.Enabled {
			invariant.Failf("actor: an Ask was answered twice")
		}
		return
	}
	r.p.ch <- result[T]{v, err} // has room for the one answer
}

// Ask runs f on the loop and returns what is sent to f's Reply, which may be after f has returned. Errors are those of Call, except
// that with ErrStopped f may have run: the loop stopped before it answered.
func Ask[S, T any](ctx context.Context, l *Loop[S], f func(*S, Reply[T])) (T, error) {
	p := &pending[T]{ch: make(chan result[T], 1)}
	var zero T
	ok := l.Post(func(s *S) {
		if ctx.Err() == nil {
			f(s, Reply[T]{p})
		}
	})
	if !ok {
		return zero, ErrStopped
	}
	select {
	case r := <-p.ch:
		return r.v, r.err
	case <-ctx.Done():
		return answered(p, context.Cause(ctx))
	case <-l.done:
		return answered(p, ErrStopped)
	}
}

// answered prefers an answer that is there to the reason for not waiting.
func answered[T any](p *pending[T], err error) (T, error) {
	select {
	case r := <-p.ch:
		return r.v, r.err
	default:
		var zero T
		return zero, err
	}
}
