package exchange

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// Exchange is the data side of one job runtime.
type Exchange struct {
	cfg    Config
	ln     net.Listener
	addr   string
	ctx    context.Context // ends with Close; connections under way depend on it
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	flush  flusher

	mu      sync.Mutex
	ports   map[channelID]*Port
	list    []*Port // the same ports, for the buffer timeout; nil: to be made
	waiting map[channelID][]*waiter
	peers   map[string]*peer // by the address of the peer's listener
	conns   map[*conn]struct{}
	closed  bool
}

// waiter is a consumer whose producer is not there yet.
type waiter struct {
	gen   ids.Generation
	to    consumer
	in    *atomic.Uint64
	timer *time.Timer
}

// New listens, if Bind is set, and starts the exchange.
func New(cfg Config) (*Exchange, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Exchange{cfg: cfg, ports: make(map[channelID]*Port), waiting: make(map[channelID][]*waiter),
		peers: make(map[string]*peer), conns: make(map[*conn]struct{})}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	if cfg.Bind != "" {
		ln, err := net.Listen("tcp", cfg.Bind)
		if err != nil {
			return nil, fmt.Errorf("open data port: %w", err)
		}
		if e.addr, err = advertised(ln, cfg); err != nil {
			_ = ln.Close()
			return nil, err
		}
		if cfg.ServerTLS != nil {
			ln = tls.NewListener(ln, cfg.ServerTLS)
		}
		e.ln = ln
		e.wg.Go(e.accept)
	}
	e.flush.init(cfg.BufferTimeout)
	if cfg.BufferTimeout > 0 {
		e.wg.Go(func() { e.flush.run(e.ctx, e.flushAll) })
	}
	return e, nil
}

// advertised is the address that peers are told.
func advertised(ln net.Listener, cfg Config) (string, error) {
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return "", fmt.Errorf("open data port: %w", err)
	}
	if cfg.Host != "" {
		host = cfg.Host
	}
	return net.JoinHostPort(host, port), nil
}

// Addr returns the address that peers connect to; empty without a listener.
func (e *Exchange) Addr() string { return e.addr }

// FlushEach reports whether consumers are to be woken after each record.
func (e *Exchange) FlushEach() bool { return e.cfg.BufferTimeout == 0 }

// BufferTimeout is how long a record may wait for its batch to fill; not positive: see Config.
func (e *Exchange) BufferTimeout() time.Duration { return e.cfg.BufferTimeout }

// Close ends all channels with ErrClosed and waits for every goroutine. The tasks have ended before.
func (e *Exchange) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		e.wg.Wait()
		return nil
	}
	e.closed = true
	ports := make([]*Port, 0, len(e.ports))
	for _, o := range e.ports {
		ports = append(ports, o)
	}
	var waiters []*waiter
	for _, ws := range e.waiting {
		waiters = append(waiters, ws...)
	}
	clear(e.waiting)
	conns := make([]*conn, 0, len(e.conns))
	for c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	e.cancel(ErrClosed)
	for _, w := range waiters {
		w.timer.Stop()
		w.to.failed(ErrClosed)
	}
	for _, o := range ports {
		o.fail(ErrClosed)
	}
	var err error
	if e.ln != nil {
		err = e.ln.Close()
	}
	for _, c := range conns {
		c.close(ErrClosed)
	}
	e.wg.Wait()
	for _, o := range ports {
		o.release()
	}
	return err
}

// flushAll wakes the consumers of batches that have got records.
func (e *Exchange) flushAll() {
	e.mu.Lock()
	if e.list == nil && len(e.ports) > 0 {
		for _, o := range e.ports {
			e.list = append(e.list, o)
		}
	}
	ports := e.list
	e.mu.Unlock()
	for _, o := range ports {
		o.Flush()
	}
}

// register makes the ports of a partition known.
func (e *Exchange) register(p *Partition) error {
	var old []*Port
	var found []func()
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return ErrClosed
	}
	for _, o := range p.ports {
		if other := e.ports[o.id]; other != nil {
			if other.p.cfg.Generation.Compare(p.cfg.Generation) >= 0 {
				e.mu.Unlock()
				return fmt.Errorf("%w: %s of generation %s is open", ErrStale, o.id, other.p.cfg.Generation)
			}
			old = append(old, other)
		}
	}
	for _, o := range p.ports {
		e.ports[o.id] = o
		var rest []*waiter
		for _, w := range e.waiting[o.id] {
			switch c := w.gen.Compare(p.cfg.Generation); {
			case c > 0:
				rest = append(rest, w)
			case c < 0:
				w.timer.Stop()
				found = append(found, func() { w.to.failed(stale(o, w.gen)) })
			default:
				w.timer.Stop()
				found = append(found, func() { connect(o, w.to, w.in) })
			}
		}
		e.setWaiting(o.id, rest)
	}
	e.list = nil
	e.mu.Unlock()
	for _, o := range old {
		o.fail(ErrStale)
	}
	for _, f := range found {
		f()
	}
	return nil
}

func stale(o *Port, asked ids.Generation) error {
	return fmt.Errorf("%w: %s, asked for generation %s, running is %s", ErrStale, o.id, asked, o.p.cfg.Generation)
}

func connect(o *Port, to consumer, in *atomic.Uint64) {
	switch err := o.attach(to, in); {
	case errors.Is(err, errConsumerEnded):
		o.release()
	case err != nil:
		to.failed(err)
	}
}

// setWaiting replaces the waiters of a channel. The caller holds mu.
func (e *Exchange) setWaiting(id channelID, ws []*waiter) {
	if len(ws) == 0 {
		delete(e.waiting, id)
	} else {
		e.waiting[id] = ws
	}
}

func (e *Exchange) unregister(o *Port) {
	e.mu.Lock()
	if e.ports[o.id] == o {
		delete(e.ports, o.id)
		e.list = nil
	}
	e.mu.Unlock()
}

// bury leaves in a failed port's place one that answers consumers and holds nothing of the task. It stays until a newer generation comes.
func (e *Exchange) bury(o *Port) {
	o.mu.Lock()
	err := o.err
	o.mu.Unlock()
	if err == nil {
		return
	}
	grave := &Port{id: o.id, err: err, p: &Partition{ex: e, cfg: PartitionConfig{Generation: o.p.cfg.Generation}}}
	e.mu.Lock()
	if e.ports[o.id] == o {
		e.ports[o.id] = grave
		e.list = nil
	}
	e.mu.Unlock()
}

// request connects a consumer with its port, now or when the producer is deployed within the request timeout.
func (e *Exchange) request(id channelID, gen ids.Generation, to consumer, in *atomic.Uint64) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		to.failed(ErrClosed)
		return
	}
	if o := e.ports[id]; o != nil {
		if c := o.p.cfg.Generation.Compare(gen); c >= 0 {
			e.mu.Unlock()
			if c > 0 {
				to.failed(stale(o, gen))
			} else {
				connect(o, to, in)
			}
			return
		}
	}
	w := &waiter{gen: gen, to: to, in: in}
	w.timer = time.AfterFunc(e.cfg.RequestTimeout, func() {
		if e.forget(id, to) {
			to.failed(fmt.Errorf("%w: %s of generation %s was not there within %s", ErrPartitionNotFound, id, gen, e.cfg.RequestTimeout))
		}
	})
	e.waiting[id] = append(e.waiting[id], w)
	e.mu.Unlock()
}

// forget ends a consumer's waiting and reports whether it was.
func (e *Exchange) forget(id channelID, to consumer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	ws := e.waiting[id]
	i := slices.IndexFunc(ws, func(w *waiter) bool { return w.to == to })
	if i < 0 {
		return false
	}
	ws[i].timer.Stop()
	e.setWaiting(id, slices.Delete(ws, i, i+1))
	return true
}

// accept takes connections until the listener is closed.
func (e *Exchange) accept() {
	for {
		nc, err := e.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || e.ctx.Err() != nil {
				return
			}
			e.cfg.Log.Warn("data connection not accepted", "error", err)
			select { // out of files, perhaps: not in a tight loop
			case <-time.After(50 * time.Millisecond):
			case <-e.ctx.Done():
				return
			}
			continue
		}
		e.wg.Go(func() { e.serve(nc) })
	}
}
