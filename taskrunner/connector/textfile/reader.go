package textfile

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"github.com/flott-dev/flott/taskrunner/operator"
)

// reader is the source operator of one subtask.
type reader struct {
	operator.Base[string]
	messages wire[message]
	states   wire[readerState]
	size     int // of chunks
	longest  int // line
	fetch    *fetcher
	host     string

	held     []progress // splits that are not finished, begun or not
	finished []splitID
	current  string // rest of the chunk whose lines are being handed on
	from     chunk  // that chunk
	asked    bool   // a request is under way
	ended    bool   // there are no more splits
}

// readerState is what a checkpoint holds of a reader.
type readerState struct {
	Held     []progress
	Finished []splitID // since the job began: a reader that is restored must not be given them again
}

func newReader(next operator.Output[string]) *reader {
	return &reader{Base: operator.Base[string]{Next: next}, messages: newWire[message](), states: newWire[readerState](), size: chunkSize, longest: maxLine}
}

// Open implements operator.Operator.
func (r *reader) Open(ctx context.Context, c operator.Context) error {
	if err := r.Base.Open(ctx, c); err != nil {
		return err
	}
	// YARN tells a container its node's name; DataNodes are known by the same one.
	if r.host = os.Getenv("NM_HOST"); r.host == "" {
		r.host, _ = os.Hostname()
	}
	r.fetch = startFetcher(ctx, c.FS, r.size, r.longest, fetchers)
	m := message{Kind: register, Host: r.host, Held: slices.Clone(r.finished)}
	for _, p := range r.held {
		m.Held = append(m.Held, p.Split.ID)
	}
	r.fetch.add(r.held)
	return r.send(m)
}

func (r *reader) send(m message) error {
	b, err := r.messages.encode(m)
	if err != nil {
		return err
	}
	r.Send(b)
	return nil
}

// HandleEvent implements operator.EventHandler.
func (r *reader) HandleEvent(payload []byte) error {
	m, err := r.messages.decode(payload)
	if err != nil {
		return fmt.Errorf("read a message of the enumerator: %w", err)
	}
	r.asked = false
	switch m.Kind {
	case assign:
		var add []progress
		for _, s := range m.Splits {
			add = append(add, progress{Split: s, Position: s.Offset})
		}
		r.held = append(r.held, add...)
		r.fetch.add(add)
		return nil
	case noMore:
		r.ended = true
		return nil
	}
	return fmt.Errorf("read a message of the enumerator: kind %d is not for a reader", m.Kind)
}

// Poll implements operator.Poller.
func (r *reader) Poll() (operator.Poll, error) {
	if len(r.current) > 0 {
		return operator.Poll{Status: operator.More}, r.lines()
	}
	if err := r.ask(); err != nil {
		return operator.Poll{}, err
	}
	select {
	case c := <-r.fetch.chunks:
		if c.err != nil {
			return operator.Poll{}, c.err
		}
		r.from, r.current = c, unsafe.String(unsafe.SliceData(c.data), len(c.data)) // the fetcher does not touch it again
		return operator.Poll{Status: operator.More}, r.lines()
	default:
	}
	if r.ended && len(r.held) == 0 {
		return operator.Poll{Status: operator.End}, nil
	}
	return operator.Poll{Status: operator.Wait, Ready: r.fetch.ready}, nil
}

// ask requests splits before the last ones have been begun.
func (r *reader) ask() error {
	if r.asked || r.ended || !r.fetch.low() {
		return nil
	}
	r.asked = true
	return r.send(message{Kind: request, Host: r.host})
}

// lines hands on some lines of the current chunk.
func (r *reader) lines() error {
	rest := r.current
	for n := 0; n < operator.MaxBatch && len(rest) > 0; n++ {
		line := rest
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		if k := len(line) - 1; k >= 0 && line[k] == '\r' {
			line = line[:k]
		}
		r.current = rest
		if err := r.Next.Collect(line, operator.NoTime); err != nil {
			return err
		}
	}
	if len(rest) == 0 {
		r.done()
	}
	return nil
}

// done notes that the current chunk has been handed on.
func (r *reader) done() {
	c := r.from
	r.current, r.from = "", chunk{}
	i := slices.IndexFunc(r.held, func(p progress) bool { return p.Split.ID == c.split })
	if i < 0 {
		return
	}
	if r.held[i].Position = c.next; c.last {
		r.held = slices.Delete(r.held, i, i+1)
		r.finished = append(r.finished, c.split)
	}
}

// Snapshot implements operator.Operator.
func (r *reader) Snapshot(uint64) ([]byte, error) {
	s := readerState{Held: slices.Clone(r.held), Finished: r.finished}
	for i := range s.Held {
		if len(r.current) > 0 && s.Held[i].Split.ID == r.from.split {
			s.Held[i].Position = r.from.next - int64(len(r.current))
		}
	}
	return r.states.encode(s)
}

// Restore implements operator.Operator.
func (r *reader) Restore(b []byte) error {
	s, err := r.states.decode(b)
	if err != nil {
		return fmt.Errorf("restore a reader of text files: %w", err)
	}
	r.held, r.finished = s.Held, s.Finished
	return nil
}

// Close implements operator.Operator.
func (r *reader) Close() error {
	if r.fetch != nil {
		r.fetch.stop()
	}
	return nil
}

var (
	_ operator.Poller       = (*reader)(nil)
	_ operator.EventHandler = (*reader)(nil)
)
