package exchange

import (
	"encoding/binary"
	"fmt"
)

// stream is the producing end of a channel on a connection: it takes from a port and writes frames against credit. All fields but credit
// and blocked belong to the connection's writer; those are guarded by conn.mu.
type stream struct {
	c      *conn
	id     channelID
	number uint32 // the peer's

	// Guarded by conn.mu.
	port    *Port
	credit  int
	blocked bool // there is something to send, and no credit
	queued  bool // in conn.ready
	ended   bool

	// The writer's.
	sequence uint32
	spill    []byte // the rest of a record larger than a frame
	spillT   bool   // it has a time
	begun    bool   // a fragment of it has been sent
}

// open answers a request for a channel.
func (c *conn) open(n uint32, r request) error {
	c.mu.Lock()
	switch {
	case n <= c.lastOut:
		c.mu.Unlock()
		return fmt.Errorf("%w: request for channel %d after %d", ErrProtocol, n, c.lastOut)
	case r.credit > maxCredit:
		c.mu.Unlock()
		return fmt.Errorf("%w: credit of %d", ErrProtocol, r.credit)
	case len(c.outs) >= maxStreams:
		c.mu.Unlock()
		return fmt.Errorf("%w: more than %d channels", ErrProtocol, maxStreams)
	case c.outs == nil:
		c.mu.Unlock()
		return c.err
	}
	c.lastOut = n
	s := &stream{c: c, id: r.id, number: n, credit: int(r.credit)}
	c.outs[n] = s
	c.mu.Unlock()
	c.ex.request(r.id, r.gen, s, nil)
	return nil
}

// credit lets a stream send more. A stream that has ended is none of the peer's fault.
func (c *conn) credit(n, amount uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.outs[n]
	if s == nil {
		if n == 0 || n > c.lastOut {
			return fmt.Errorf("%w: credit for channel %d", ErrProtocol, n)
		}
		return nil
	}
	if amount > maxCredit || s.credit+int(amount) > maxCredit {
		return fmt.Errorf("%w: credit of %d for channel %d", ErrProtocol, amount, n)
	}
	s.credit += int(amount)
	if s.blocked {
		s.blocked = false
		c.readyLocked(s)
		c.wakeWriter()
	}
	return nil
}

// canceled ends a stream because its consumer has left.
func (c *conn) canceled(n uint32) error {
	c.mu.Lock()
	s := c.outs[n]
	known := n != 0 && n <= c.lastOut
	delete(c.outs, n)
	c.mu.Unlock()
	if !known {
		return fmt.Errorf("%w: cancelling channel %d", ErrProtocol, n)
	}
	if s != nil {
		s.cancel()
	}
	return nil
}

// cancel lets the port drop what it has.
func (s *stream) cancel() {
	s.c.ex.forget(s.id, s)
	s.c.mu.Lock()
	s.ended = true
	port := s.port
	s.c.mu.Unlock()
	if port != nil {
		port.release()
	}
}

// attached implements consumer.
func (s *stream) attached(o *Port) bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.port = o
	return !s.ended
}

// ready implements consumer.
func (s *stream) ready() {
	s.c.mu.Lock()
	s.c.readyLocked(s)
	s.c.mu.Unlock()
	s.c.wakeWriter()
}

// readyLocked puts a stream in the line for the writer. One that turns out to have nothing to send does no harm.
func (c *conn) readyLocked(s *stream) {
	if !s.queued && !s.ended {
		s.queued = true
		c.ready = append(c.ready, s)
	}
}

// failed implements consumer.
func (s *stream) failed(err error) {
	s.c.mu.Lock()
	ended := s.ended
	s.ended = true
	delete(s.c.outs, s.number)
	s.c.mu.Unlock()
	if !ended {
		s.c.enqueue(header{kind: frameError, channel: s.number}, marshalError(err))
	}
}

// write sends what is queued, until the connection ends: control frames and credit first, then one frame of each stream in turn.
func (c *conn) write() error {
	buf := make([]byte, 0, writeSize+2*maxData)
	var turn []*stream
	var amount [4]byte
	for {
		c.mu.Lock()
		buf = append(buf[:0], c.control...)
		c.control = c.control[:0]
		for _, ch := range c.grants {
			if n := c.amounts[ch]; n > 0 {
				delete(c.amounts, ch)
				buf = appendFrame(buf, header{kind: frameCredit, channel: ch.number}, binary.LittleEndian.AppendUint32(amount[:0], uint32(n)))
			}
		}
		c.grants = c.grants[:0]
		turn = append(turn[:0], c.ready...)
		for _, s := range turn {
			s.queued = false
		}
		c.ready = c.ready[:0]
		c.mu.Unlock()
		for i, s := range turn {
			if len(buf) >= writeSize {
				c.requeue(turn[i:])
				break
			}
			var more bool
			if buf, more = s.frame(buf); more {
				c.requeue(turn[i : i+1])
			}
		}
		if len(buf) > 0 {
			if _, err := c.nc.Write(buf); err != nil {
				return err
			}
			if cap(buf) > 8*writeSize { // after a huge record
				buf = make([]byte, 0, writeSize+2*maxData)
			}
			continue
		}
		select {
		case <-c.wake:
		case <-c.done:
			return c.err
		}
	}
}

func (c *conn) requeue(ss []*stream) {
	c.mu.Lock()
	for _, s := range ss {
		c.readyLocked(s)
	}
	c.mu.Unlock()
}

// pay uses one credit; without any, the stream waits for more.
func (s *stream) pay() (port *Port, ok bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.ended {
		return nil, false
	}
	if s.credit == 0 {
		s.blocked = true
		return nil, false
	}
	s.credit--
	return s.port, true
}

func (s *stream) refund() {
	s.c.mu.Lock()
	s.credit++
	s.c.mu.Unlock()
}

// frame appends the stream's next frame; more says that there is another.
func (s *stream) frame(buf []byte) (_ []byte, more bool) {
	port, ok := s.pay()
	if !ok {
		return buf, false
	}
	if len(s.spill) > 0 {
		return s.fragment(buf, port)
	}
	b, event, backlog, ok := port.take()
	if !ok {
		s.refund()
		return buf, false
	}
	h := header{kind: frameEvent, channel: s.number, backlog: uint8(min(backlog, 255))}
	if b == nil {
		h.sequence = s.next()
		buf = appendFrame(buf, h, event)
		return buf, port.done()
	}
	start, timed := len(buf), b.Timed()
	buf = appendHeader(buf)
	body := len(buf)
	for {
		before := len(buf)
		var err error
		buf, err = b.Encode(buf, maxData-(before-body), before == body)
		more = port.done()
		if err != nil {
			port.p.cfg.Fail(fmt.Errorf("encode records for %s: %w", port.id, err))
			s.refund()
			return buf[:start], false
		}
		// Small batches share a frame.
		if len(buf) == before || len(buf)-body > maxData/2 || !more || !port.batchNext(timed) {
			break
		}
		if b, _, backlog, ok = port.take(); !ok {
			break
		}
	}
	if size := len(buf) - body; size > maxData {
		if size > MaxRecord {
			port.p.cfg.Fail(fmt.Errorf("send a record of %d bytes, at most %d are allowed: %w", size, MaxRecord, ErrRecordTooLarge))
			s.refund()
			return buf[:start], false
		}
		s.spill, s.spillT = append([]byte(nil), buf[body:]...), timed
		return s.fragment(buf[:start], port)
	}
	if len(buf) == body { // nothing new in the open batch
		s.refund()
		return buf[:start], more
	}
	h.kind, h.sequence, h.backlog = frameData, s.next(), uint8(min(backlog, 255))
	if timed {
		h.flags = flagTimes
	}
	sealFrame(buf[start:], h)
	port.p.bytes.Add(uint64(len(buf) - body))
	return buf, more
}

// fragment appends the next part of a record that is larger than a frame.
func (s *stream) fragment(buf []byte, port *Port) (_ []byte, more bool) {
	n := min(len(s.spill), maxData)
	h := header{kind: frameData, channel: s.number, sequence: s.next(), backlog: uint8(min(1+len(s.spill)/maxData, 255))}
	if s.spillT {
		h.flags |= flagTimes
	}
	if s.begun {
		h.flags |= flagAfter
	}
	if n < len(s.spill) {
		h.flags |= flagBefore
	}
	buf = appendFrame(buf, h, s.spill[:n])
	port.p.bytes.Add(uint64(n))
	s.spill = s.spill[n:]
	if s.begun = len(s.spill) > 0; s.begun {
		return buf, true
	}
	s.spill = nil
	return buf, true
}

func (s *stream) next() uint32 {
	n := s.sequence
	s.sequence++
	return n
}
