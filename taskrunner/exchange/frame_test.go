package exchange

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/flott-dev/flott/rpc/ids"
)

func TestFrameRoundTrip(t *testing.T) {
	in := header{kind: frameData, flags: flagTimes | flagBefore, backlog: 7, channel: 1 << 30, sequence: 42}
	wire := appendFrame([]byte("before"), in, []byte("payload"))[len("before"):]
	var scratch [headerSize]byte
	h, b, err := readFrame(bytes.NewReader(wire), &scratch, func(h header) ([]byte, error) { return make([]byte, h.length), nil })
	in.length, in.checksum = h.length, h.checksum
	if err != nil || h != in || string(b) != "payload" {
		t.Errorf("read %+v %q (%v), want %+v", h, b, err, in)
	}
	for i := range wire {
		bad := bytes.Clone(wire)
		bad[i] ^= 0x40
		if _, _, err := readFrame(bytes.NewReader(bad), &scratch, func(h header) ([]byte, error) { return make([]byte, h.length), nil }); err == nil {
			t.Errorf("a flipped bit in byte %d was not noticed", i)
		}
		_, _, err := readFrame(bytes.NewReader(wire[:i]), &scratch, func(h header) ([]byte, error) { return make([]byte, h.length), nil })
		if want := io.ErrUnexpectedEOF; i > 0 && !errors.Is(err, want) || i == 0 && err != io.EOF {
			t.Errorf("after %d of %d bytes: %v", i, len(wire), err)
		}
	}
}

func TestHeaderLimits(t *testing.T) {
	for _, c := range []struct {
		kind frameKind
		size int
		ok   bool
	}{{frameData, maxData, true}, {frameData, maxData + 1, false}, {frameEvent, maxControl, true}, {frameEvent, maxControl + 1, false},
		{frameHello, maxControl + 1, false}, {0, 0, false}, {frameError + 1, 0, false}} {
		b := make([]byte, headerSize+c.size)
		sealFrame(b, header{kind: c.kind})
		if _, err := parseHeader(b); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("kind %d with %d bytes: %v", c.kind, c.size, err)
		}
	}
}

func TestPayloads(t *testing.T) {
	h := hello{job: ids.JobID{1, 2}, addr: "host:1"}
	if got, err := parseHello(h.marshal()); err != nil || got != h {
		t.Errorf("hello %+v (%v), want %+v", got, err, h)
	}
	r := request{id: channelID{ids.EdgeID{3}, 4, 5}, gen: ids.Generation{Epoch: 6, Restart: 7}, credit: 8}
	if got, err := parseRequest(r.marshal()); err != nil || got != r {
		t.Errorf("request %+v (%v), want %+v", got, err, r)
	}
	for _, want := range codes[1:] {
		if got := parseError(marshalError(&ConnectionError{"host", want})); !errors.Is(got, want) {
			t.Errorf("%v became %v on the wire", want, got)
		}
	}
	if got := parseError(marshalError(errors.New("else"))); got.Error() != "reported by the producer's side: else" {
		t.Errorf("an error without a code became %q", got)
	}
	for _, b := range [][]byte{nil, {1}, []byte("GET / HTTP/1.1\r\nHost: flott exchange\r\n")} {
		if _, err := parseHello(b); !errors.Is(err, ErrProtocol) {
			t.Errorf("hello %q: %v", b, err)
		}
		if _, err := parseRequest(b); !errors.Is(err, ErrProtocol) {
			t.Errorf("request %q: %v", b, err)
		}
	}
	if err := parseError(nil); !errors.Is(err, ErrProtocol) {
		t.Errorf("empty error: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, header{kind: frameData, channel: 1}, []byte("data")))
	f.Add(appendFrame(nil, header{kind: frameHello}, hello{addr: "a:1"}.marshal()))
	f.Add(appendFrame(nil, header{kind: frameRequest, channel: 1}, request{}.marshal()))
	f.Add(appendFrame(nil, header{kind: frameError}, marshalError(ErrStale)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var scratch [headerSize]byte
		h, p, err := readFrame(bytes.NewReader(b), &scratch, func(h header) ([]byte, error) {
			if h.length > maxData {
				t.Fatalf("asked for a buffer of %d bytes", h.length)
			}
			return make([]byte, maxData), nil
		})
		if err != nil {
			return
		}
		if again := appendFrame(nil, h, p); !bytes.Equal(again, b[:len(again)]) {
			// A header's bytes are all kept, so what is read is what is written.
			t.Fatalf("%x was read as %x", b, again)
		}
		_, _ = parseHello(p)
		_, _ = parseRequest(p)
		_ = parseError(p)
	})
}
