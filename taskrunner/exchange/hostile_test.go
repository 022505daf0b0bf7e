package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// TestHostileClient sends an exchange what no peer would send; it closes the connection and goes on serving others.
func TestHostileClient(t *testing.T) {
	e := side(t)
	greeting := appendFrame(nil, header{kind: frameHello}, hello{}.marshal())
	frame := func(k frameKind, ch uint32, p []byte) []byte {
		return append(bytes.Clone(greeting), appendFrame(nil, header{kind: k, channel: ch}, p)...)
	}
	ask := func(ch uint32, credit uint32) []byte {
		return appendFrame(nil, header{kind: frameRequest, channel: ch}, request{credit: credit}.marshal())
	}
	for _, c := range []struct {
		name  string
		bytes []byte
	}{
		{"http", []byte("GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n")},
		{"no hello", ask(1, 1)},
		{"other job", appendFrame(nil, header{kind: frameHello}, hello{job: ids.JobID{9}}.marshal())},
		{"huge frame", []byte{frameVersion, byte(frameData), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0}},
		{"data of no channel", frame(frameData, 1, []byte("x"))},
		{"event of no channel", frame(frameEvent, 1, []byte("x"))},
		{"error of no channel", frame(frameError, 1, []byte("xxx"))},
		{"error of the connection", frame(frameError, 0, marshalError(ErrClosed))},
		{"short request", frame(frameRequest, 1, []byte("x"))},
		{"credit for nothing", frame(frameCredit, 1, []byte{1, 0, 0, 0})},
		{"short credit", frame(frameCredit, 1, []byte{1})},
		{"cancel of nothing", frame(frameCancel, 1, nil)},
		{"second hello", frame(frameHello, 0, hello{}.marshal())},
		{"channel used twice", append(append(bytes.Clone(greeting), ask(1, 1)...), ask(1, 1)...)},
		{"absurd credit", append(bytes.Clone(greeting), ask(1, 1<<31)...)},
		{"credit that overflows", append(append(bytes.Clone(greeting), ask(1, maxCredit)...),
			appendFrame(nil, header{kind: frameCredit, channel: 1}, binary.LittleEndian.AppendUint32(nil, 1))...)},
	} {
		nc, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(c.bytes); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("%s: the connection stays open", c.name)
		}
		_ = nc.Close()
	}
	p := producer(t, e, 0, 1)
	r := consume(t, side(t), 0, at(e))
	send(t, p.Ports()[0], batch("still here"))
	r.expect("still here")
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// TestHostileProducer answers a consumer's request with what no producer would send.
func TestHostileProducer(t *testing.T) {
	data := func(seq uint32, flags uint8, n int) []byte {
		return appendFrame(nil, header{kind: frameData, channel: 1, sequence: seq, flags: flags}, make([]byte, n))
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"no credit", bytes.Join([][]byte{data(0, flagBefore, 1), data(1, flagBefore|flagAfter, 1), data(2, 0, 1), data(3, 0, 1), data(4, 0, 1), data(5, 0, 1)}, nil), ErrProtocol},
		{"events without credit", bytes.Repeat(appendFrame(nil, header{kind: frameEvent, channel: 1}, []byte("x")), 1), nil},
		{"gap", data(1, 0, 1), ErrProtocol},
		{"fragment without a first", data(0, flagAfter, 1), ErrProtocol},
		{"whole record within fragments", append(data(0, flagBefore, 1), data(1, flagBefore, 1)...), ErrProtocol},
		{"checksum", func() []byte { b := data(0, 0, 1); b[len(b)-1] ^= 1; return b }(), ErrProtocol},
		{"refusal", appendFrame(nil, header{kind: frameError, channel: 1}, marshalError(ErrStale)), ErrStale},
		{"end of the connection", nil, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			served := make(chan error, 1)
			go func() { served <- serveOnce(ln, c.bytes) }()
			r := consume(t, side(t), 0, Location{ln.Addr().String(), gen})
			for err = nil; err == nil && c.want != nil; {
				_, err = r.next()
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if c.want == nil {
				r.expect("<x>")
			}
			r.gate.Close()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

// serveOnce greets one consumer, waits for its request, writes b and, if b is empty, closes.
func serveOnce(ln net.Listener, b []byte) error {
	nc, err := ln.Accept()
	if err != nil {
		return err
	}
	defer nc.Close()
	var scratch [headerSize]byte
	spare := make([]byte, maxData)
	for _, want := range []frameKind{frameHello, frameRequest} {
		h, _, err := readFrame(nc, &scratch, func(header) ([]byte, error) { return spare, nil })
		if err != nil || h.kind != want {
			return errors.Join(err, errors.New("no greeting"))
		}
		if want == frameHello {
			if _, err := nc.Write(appendFrame(nil, header{kind: frameWelcome}, hello{}.marshal())); err != nil {
				return err
			}
		}
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := nc.Write(b); err != nil {
		return err
	}
	for { // credit and the cancellation, then the end
		if _, _, err := readFrame(nc, &scratch, func(header) ([]byte, error) { return spare, nil }); err != nil {
			return nil
		} else if scratch[1] == byte(frameCancel) {
			return nil
		}
	}
}

// TestConnectionLost: the consumer learns which address was lost, the producer goes on until it is cancelled.
func TestConnectionLost(t *testing.T) {
	from := side(t)
	var nc net.Conn
	to := side(t, func(c *Config) {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			var err error
			nc, err = d.DialContext(ctx, "tcp", addr)
			return nc, err
		}
	})
	p := producer(t, from, 0, 1)
	r := consume(t, to, 0, at(from))
	send(t, p.Ports()[0], batch("x"))
	r.expect("x")
	_ = nc.Close()
	_, err := r.next()
	var lost *ConnectionError
	if !errors.As(err, &lost) || lost.Addr != from.Addr() {
		t.Errorf("error %v, want a ConnectionError with %s", err, from.Addr())
	}
	for range 3 * queueLimit {
		send(t, p.Ports()[0], batch("void"))
	}
	// A new gate makes a new connection.
	q := producer(t, from, 1, 1)
	again := &reader{t: t, wake: make(chan struct{}, 1)}
	if again.gate, err = to.OpenGate(GateConfig{Inputs: []InputConfig{{Edge: edge, FirstProducer: 1, Producers: []Location{at(from)}}}, Wake: waker(again.wake)}); err != nil {
		t.Fatal(err)
	}
	defer again.gate.Close()
	send(t, q.Ports()[0], batch("y"))
	again.expect("y")
}

func TestNobodyListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	_, err = consume(t, side(t), 0, Location{addr, gen}).next()
	if err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("error %v, want one that names %s", err, addr)
	}
}

// TestCloseEndsWaiting: whatever waits ends when the exchange is closed.
func TestCloseEndsWaiting(t *testing.T) {
	e := side(t)
	r := consume(t, e, 0, at(e))
	p := producer(t, e, 1, 1)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	r.expectError(ErrClosed)
	if _, err := e.OpenPartition(PartitionConfig{Edge: edge, Subtask: 7}); !errors.Is(err, ErrClosed) {
		t.Errorf("opening a partition: %v", err)
	}
	for range 3 * queueLimit {
		send(t, p.Ports()[0], batch("void"))
	}
	consume(t, e, 3, at(e)).expectError(ErrClosed)
}
