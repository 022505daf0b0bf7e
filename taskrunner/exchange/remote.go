package exchange

import (
	"fmt"

	"github.com/flott-dev/flott/taskrunner/memory"
)

// remoteState is the part of a channel whose producer is in another process; guarded by Gate.mu but for what is marked.
//
// Credit is counted in frames: the producer may send credit more, as soon as it has been told of all (conn.amounts is what it has not).
// Every frame, data or event, uses one and occupies a buffer's place until the task is done with it, so at most exclusive + floating
// frames of a channel are under way or waiting.
type remoteState struct {
	conn     *conn
	number   uint32 // on that connection
	frames   []received
	credit   int    // frames that the producer may still send
	floating int    // floating buffers among the channel's places
	backlog  int    // what the producer had queued, as of the last frame
	sequence uint32 // of the next frame
}

// received is a frame that waits for its task.
type received struct {
	kind    frameKind
	flags   uint8
	payload []byte // data: a buffer of the pool
}

// buffer returns where the payload of an incoming data frame goes, or nil when the channel has ended. It runs on the connection's
// reader.
func (c *channel) buffer() ([]byte, error) {
	g := c.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil
	}
	if c.credit == 0 {
		return nil, fmt.Errorf("%w: data without credit on channel %s", ErrProtocol, c.id)
	}
	b := g.ex.cfg.Pool.Get()
	if b == nil {
		return nil, fmt.Errorf("take a buffer for channel %s: %w", c.id, memory.ErrInsufficient)
	}
	return b, nil
}

// deliver queues a frame for the task. false says that the channel has ended: the payload is the caller's again. It runs on the
// connection's reader.
func (c *channel) deliver(h header, payload []byte) (bool, error) {
	g := c.gate
	g.mu.Lock()
	if g.closed || c.err != nil {
		g.mu.Unlock()
		return false, nil
	}
	if c.credit == 0 {
		g.mu.Unlock()
		return false, fmt.Errorf("%w: event without credit on channel %s", ErrProtocol, c.id)
	}
	if h.sequence != c.sequence {
		want := c.sequence
		g.mu.Unlock()
		c.failed(fmt.Errorf("%w: frame %d on channel %s, expected %d", ErrProtocol, h.sequence, c.id, want))
		return false, nil
	}
	c.sequence++
	c.credit--
	c.backlog = int(h.backlog)
	c.frames = append(c.frames, received{h.kind, h.flags, payload})
	g.bytes.Add(uint64(len(payload)))
	n := max(0, min(c.backlog-c.credit, g.floats))
	g.floats -= n
	c.floating += n
	c.credit += n
	c.conn.grant(c, n)
	g.enqueueLocked(c)
	g.mu.Unlock()
	g.cfg.Wake()
	return true, nil
}

// next takes the channel's first frame. A fragment that is not the last is kept, and there is no item.
func (c *channel) next(item *Item) bool {
	g := c.gate
	g.mu.Lock()
	if len(c.frames) == 0 {
		g.mu.Unlock()
		return false
	}
	f := c.frames[0]
	n := copy(c.frames, c.frames[1:])
	c.frames[n] = received{}
	c.frames = c.frames[:n]
	g.mu.Unlock()
	if f.kind == frameEvent {
		item.Event = f.payload
		return true
	}
	c.held = f.payload
	item.Timed = f.flags&flagTimes != 0
	if f.flags&(flagAfter|flagBefore) == 0 {
		item.Frame = f.payload
		return true
	}
	if (f.flags&flagAfter != 0) != (len(c.partial) > 0) || len(c.partial)+len(f.payload) > MaxRecord {
		item.Err = fmt.Errorf("receive from subtask %d: %w: fragment out of place, or a record above %d bytes", c.producer, ErrProtocol, MaxRecord)
		return true
	}
	c.partial = append(c.partial, f.payload...)
	if f.flags&flagBefore != 0 {
		g.Done()
		return false
	}
	item.Frame, c.partial = c.partial, nil
	return true
}

// doneRemote gives the buffer back and the place to the producer, or to the gate when the producer has nothing queued.
func (c *channel) doneRemote() {
	g := c.gate
	if c.held != nil {
		g.ex.cfg.Pool.Put(c.held)
		c.held = nil
	}
	g.mu.Lock()
	if c.floating > 0 && c.backlog <= c.credit {
		c.floating--
		g.floats++
		c.conn.grant(c, 0)
	} else {
		c.credit++
		c.conn.grant(c, 1)
	}
	if len(c.frames) > 0 || c.err != nil {
		g.enqueueLocked(c)
	}
	g.mu.Unlock()
}

// closeRemote ends the channel: the producer is told, the buffers go back.
func (c *channel) closeRemote() {
	g := c.gate
	if c.held != nil {
		g.ex.cfg.Pool.Put(c.held)
		c.held = nil
	}
	g.mu.Lock()
	frames := c.frames
	c.frames = nil
	conn := c.conn
	g.mu.Unlock()
	for _, f := range frames {
		if f.kind == frameData {
			g.ex.cfg.Pool.Put(f.payload)
		}
	}
	if conn != nil {
		conn.leave(c)
	}
}
