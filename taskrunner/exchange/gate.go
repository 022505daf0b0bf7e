package exchange

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/flott-dev/flott/rpc/ids"
)

// GateConfig describes everything that one subtask receives.
type GateConfig struct {
	Subtask int
	Inputs  []InputConfig
	// Wake is called on any goroutine when Next would return something; it must not block.
	Wake func()
}

// InputConfig describes one edge into a gate.
type InputConfig struct {
	Edge          ids.EdgeID
	FirstProducer int
	Producers     []Location // by producing subtask, from FirstProducer on
}

// Item is what a gate returns: exactly one of Batch, Frame, Event and Err is set.
type Item struct {
	Input    int    // index into GateConfig.Inputs
	Channel  int    // index of the channel in the whole gate
	Batch    Batch  // records of the same process
	Frame    []byte // encoded records; the memory ends with Done
	Timed    bool   // the records of the frame have times
	Event    []byte
	Err      error // the channel has failed; no item of it follows
	Producer int   // subtask at the other end
}

// Gate is the consuming end of all channels of a task. Next and Done belong to the task's goroutine.
type Gate struct {
	ex       *Exchange
	cfg      GateConfig
	channels []*channel
	bytes    atomic.Uint64
	reserved int
	current  *channel // between Next and Done

	mu     sync.Mutex
	ready  []*channel
	floats int // floating buffers that no channel has
	closed bool
}

// channel is the consuming end of one channel, local or remote.
type channel struct {
	gate     *Gate
	id       channelID
	gen      ids.Generation
	input    int
	index    int
	producer int
	remote   bool

	// Guarded by Gate.mu.
	queued bool // in Gate.ready
	err    error
	port   *Port // local
	remoteState

	held    []byte // the task's: the buffer of the frame between Next and Done
	partial []byte // the task's: fragments of a record so far
}

// OpenGate asks for all channels and returns at once; what fails later comes as an item.
func (e *Exchange) OpenGate(cfg GateConfig) (*Gate, error) {
	g := &Gate{ex: e, cfg: cfg, floats: e.cfg.FloatingBuffers}
	byAddr := make(map[string][]*channel)
	var local []*channel
	for i, in := range cfg.Inputs {
		for k, at := range in.Producers {
			c := &channel{gate: g, input: i, index: len(g.channels), producer: in.FirstProducer + k, gen: at.Generation,
				id: channelID{in.Edge, uint32(in.FirstProducer + k), uint32(cfg.Subtask)}}
			g.channels = append(g.channels, c)
			if at.Addr == e.addr {
				local = append(local, c)
				continue
			}
			c.remote = true
			c.credit = e.cfg.BuffersPerChannel
			byAddr[at.Addr] = append(byAddr[at.Addr], c)
		}
	}
	if remote := len(g.channels) - len(local); remote > 0 {
		if e.cfg.Pool == nil {
			return nil, fmt.Errorf("open gate of subtask %d: %d producers are in other processes, and this exchange has no listener", cfg.Subtask, remote)
		}
		n := remote*e.cfg.BuffersPerChannel + e.cfg.FloatingBuffers
		if err := e.cfg.Pool.Reserve(n); err != nil {
			return nil, fmt.Errorf("open gate of subtask %d: %w", cfg.Subtask, err)
		}
		g.reserved = n
	}
	for _, c := range local {
		e.request(c.id, c.gen, c, &g.bytes)
	}
	for addr, cs := range byAddr {
		e.reach(addr, cs)
	}
	return g, nil
}

// Channels returns the number of channels.
func (g *Gate) Channels() int { return len(g.channels) }

// Bytes returns how much has come in: encoded over connections, in memory within the process.
func (g *Gate) Bytes() uint64 { return g.bytes.Load() }

// Next returns the next item of some channel, or false when there is none now. The caller works on it and calls Done.
func (g *Gate) Next() (Item, bool) {
	for {
		g.mu.Lock()
		if len(g.ready) == 0 {
			g.mu.Unlock()
			return Item{}, false
		}
		c := g.ready[0]
		copy(g.ready, g.ready[1:])
		g.ready = g.ready[:len(g.ready)-1]
		c.queued = false
		item := Item{Input: c.input, Channel: c.index, Producer: c.producer}
		if c.err != nil && len(c.frames) == 0 {
			item.Err = fmt.Errorf("receive from subtask %d: %w", c.producer, c.err)
			g.mu.Unlock()
			return item, true
		}
		port := c.port
		g.mu.Unlock()
		g.current = c
		if c.remote {
			if c.next(&item) {
				return item, true
			}
			continue
		}
		var ok bool
		if item.Batch, item.Event, _, ok = port.take(); ok {
			return item, true
		}
	}
}

// Done ends the work on the item that Next returned last.
func (g *Gate) Done() {
	c := g.current
	g.current = nil
	if c == nil {
		return
	}
	if c.remote {
		c.doneRemote()
		return
	}
	if c.port.done() {
		g.mu.Lock()
		g.enqueueLocked(c)
		g.mu.Unlock()
	}
}

// enqueueLocked makes Next return something of the channel.
func (g *Gate) enqueueLocked(c *channel) {
	if !c.queued && !g.closed {
		c.queued = true
		g.ready = append(g.ready, c)
	}
}

// attached implements consumer.
func (c *channel) attached(o *Port) bool {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.port = o
	return !c.gate.closed
}

// ready implements consumer.
func (c *channel) ready() {
	g := c.gate
	g.mu.Lock()
	g.enqueueLocked(c)
	g.mu.Unlock()
	g.cfg.Wake()
}

// failed implements consumer.
func (c *channel) failed(err error) {
	g := c.gate
	g.mu.Lock()
	if c.err == nil {
		c.err = err
		g.enqueueLocked(c)
	}
	g.mu.Unlock()
	g.cfg.Wake()
}

// Close ends all channels from the consumer's side and gives the buffers back. It belongs to the task's goroutine.
func (g *Gate) Close() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.closed = true
	g.ready = nil
	g.mu.Unlock()
	if g.current != nil && !g.current.remote && g.current.port != nil {
		g.current.port.done()
	}
	for _, c := range g.channels {
		if c.remote {
			c.closeRemote()
			continue
		}
		g.ex.forget(c.id, c)
		g.mu.Lock()
		port := c.port
		g.mu.Unlock()
		if port != nil {
			port.release()
		}
	}
	if g.reserved > 0 {
		g.ex.cfg.Pool.Release(g.reserved)
	}
}
