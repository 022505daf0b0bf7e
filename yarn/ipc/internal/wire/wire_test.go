package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

func message(s string) *commonpb.GetDelegationTokenRequestProto {
	m := &commonpb.GetDelegationTokenRequestProto{}
	m.SetRenewer(s)
	return m
}

func TestFramesRoundTrip(t *testing.T) {
	var stream []byte
	sizes := []int{0, 1, 200, firstChunk - 1, firstChunk, 5 * firstChunk}
	for _, n := range sizes {
		var err error
		if stream, err = AppendFrame(stream, message("head"), message(strings.Repeat("x", n))); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(iotest.HalfReader(bytes.NewReader(stream)))
	for _, n := range sizes {
		frame, err := ReadFrame(r, 1<<20, nil)
		if err != nil {
			t.Fatal(err)
		}
		head, body := message(""), message("")
		rest, err := CutDelimited(frame, head)
		if err != nil || head.GetRenewer() != "head" {
			t.Fatalf("head: got %v, %v", head, err)
		}
		if rest, err = CutDelimited(rest, body); err != nil || len(body.GetRenewer()) != n || len(rest) != 0 {
			t.Errorf("body of %d: got %d, %d bytes left, %v", n, len(body.GetRenewer()), len(rest), err)
		}
	}
	if _, err := ReadFrame(r, 1<<20, nil); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: got %v, want EOF", err)
	}
}

// TestClaimedLengthAllocatesNothing: a frame that claims 1 GiB and ends after 3 bytes costs no more than the first chunk.
func TestClaimedLengthAllocatesNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadFrame(bufio.NewReader(strings.NewReader("\x40\x00\x00\x00abc")), 1<<30, nil)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want ErrUnexpectedEOF", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("allocated %d bytes", got)
	}
}

func TestAppendFrameRefusesMissingFields(t *testing.T) {
	got, err := AppendFrame([]byte("kept"), &commonpb.TokenProto{})
	if err == nil || string(got) != "kept" {
		t.Errorf("got %q, %v, want the buffer as it was and an error", got, err)
	}
}

func FuzzFrame(f *testing.F) {
	good, _ := AppendFrame(nil, SASLResponse(), message("x"))
	f.Add(good)
	f.Add([]byte("\x00\x00\x00\x03\x02\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := ReadFrame(bufio.NewReader(bytes.NewReader(b)), 1<<20, nil)
		if err != nil {
			return
		}
		h := &commonpb.RpcResponseHeaderProto{}
		rest, err := CutDelimited(frame, h)
		if err != nil {
			return
		}
		if again, err := AppendFrame(nil, h); err != nil || proto.Size(h) > len(again) {
			t.Errorf("header does not encode again: %v", err)
		}
		_, _, _ = CutBytes(rest)
	})
}
