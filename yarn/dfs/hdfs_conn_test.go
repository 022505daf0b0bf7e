package dfs

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

func requestFrame(t testing.TB, callID int32, method string) []byte {
	t.Helper()
	h, err := proto.Marshal(commonpb.RpcRequestHeaderProto_builder{CallId: &callID, ClientId: []byte("0123456789abcdef")}.Build())
	if err != nil {
		t.Fatal(err)
	}
	m, err := proto.Marshal(commonpb.RequestHeaderProto_builder{MethodName: &method, DeclaringClassProtocolName: proto.String(clientProtocol),
		ClientProtocolVersion: proto.Uint64(1)}.Build())
	if err != nil {
		t.Fatal(err)
	}
	body := append(protowire.AppendBytes(protowire.AppendBytes(nil, h), m), 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// nnPair is a connection of the byte client and the NameNode's end of it.
func nnPair(t *testing.T, timeout time.Duration) (*nameNodeConn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	srv, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.Close() })
	b := &byteClient{conns: map[net.Conn]struct{}{}}
	b.ctx, b.cancel = context.WithCancelCause(t.Context())
	conn := &nameNodeConn{Conn: c, slot: b, timeout: timeout}
	if _, err := conn.Write([]byte("hrpc\x09\x00\x00")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(srv, make([]byte, preambleLen)); err != nil {
		t.Fatal(err)
	}
	return conn, srv
}

func readAnswer(t *testing.T, c io.Reader) *commonpb.RpcResponseHeaderProto {
	t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	frame := append(head[:], make([]byte, binary.BigEndian.Uint32(head[:]))...)
	if _, err := io.ReadFull(c, frame[4:]); err != nil {
		t.Fatal(err)
	}
	h, ok := responseOf(frame)
	if !ok {
		t.Fatalf("no answer in %x", frame)
	}
	return h
}

// renewLease goes to the NameNode only while a writer is open, and then not every second.
func TestRenewLeaseIsAnsweredHere(t *testing.T) {
	c, srv := nnPair(t, time.Minute)
	if _, ok := c.RemoteAddr().(*net.TCPAddr); !ok {
		t.Errorf("remote address: got %T, want *net.TCPAddr", c.RemoteAddr())
	}
	send := func(id int32, method string) {
		t.Helper()
		if _, err := c.Write(requestFrame(t, id, method)); err != nil {
			t.Fatal(err)
		}
	}
	local := func(id int32) {
		t.Helper()
		send(id, "renewLease")
		if h := readAnswer(t, c); int32(h.GetCallId()) != id || h.GetStatus() != commonpb.RpcStatusProto_SUCCESS {
			t.Errorf("call %d: got %v", id, h)
		}
	}
	remote := func(id int32, method string) {
		t.Helper()
		send(id, method)
		got := make([]byte, len(requestFrame(t, id, method)))
		if _, err := io.ReadFull(srv, got); err != nil {
			t.Fatal(err)
		}
		if gid, m := requestOf(got); gid != id || m != method { // what was answered here never reached this end
			t.Errorf("the name node got call %d of %q, want %d of %s", gid, m, id, method)
		}
		if _, err := srv.Write(successFrame(id)); err != nil {
			t.Fatal(err)
		}
		if h := readAnswer(t, c); int32(h.GetCallId()) != id {
			t.Errorf("got %v", h)
		}
	}
	local(1)
	remote(2, "getFileInfo")
	c.slot.setWriting(true)
	remote(3, "renewLease")
	local(4)
	remote(5, "addBlock")
	c.renewed = c.renewed.Add(-leaseRenewEvery)
	remote(6, "renewLease")
	c.slot.setWriting(false)
	c.renewed = time.Time{}
	local(7)
	remote(8, "complete")
}

func TestConnectionIsPoisoned(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(srv net.Conn)
	}{
		{"no answer in time", func(net.Conn) {}},
		{"half an answer", func(srv net.Conn) { srv.Write([]byte{0, 0, 0, 9, 1}) }},
		{"hung up", func(srv net.Conn) { srv.Close() }},
		{"too long", func(srv net.Conn) { srv.Write([]byte{0x7f, 0, 0, 0}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, srv := nnPair(t, 30*time.Millisecond)
			if _, err := conn.Write(requestFrame(t, 1, "getFileInfo")); err != nil {
				t.Fatal(err)
			}
			c.answer(srv)
			_, err := conn.Read(make([]byte, 100))
			if err == nil {
				t.Fatal("Read: got no error")
			}
			// The late answer must never be taken for that of the next call.
			if _, werr := conn.Write(requestFrame(t, 2, "addBlock")); !errors.Is(werr, conn.err) {
				t.Errorf("Write: got %v, want %v", werr, err)
			}
			if _, rerr := conn.Read(make([]byte, 100)); !errors.Is(rerr, conn.err) {
				t.Errorf("Read: got %v, want %v", rerr, err)
			}
		})
	}
}

func TestDeadlinesAreOurs(t *testing.T) {
	for _, conn := range []net.Conn{&nameNodeConn{}, &dataNodeConn{}} { // a nil socket would panic
		for _, f := range []func(time.Time) error{conn.SetDeadline, conn.SetReadDeadline, conn.SetWriteDeadline} {
			if err := f(time.Time{}); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestPreambleIsExpected(t *testing.T) {
	c, _ := nnPair(t, time.Second)
	c.preamble = false
	if _, err := c.Write([]byte("GET / HTTP/1.1")); err == nil {
		t.Error("got no error")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(requestFrame(f, 7, "renewLease"))
	f.Add(successFrame(7))
	f.Add([]byte{0, 0, 0, 1, 0xff, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if id, m := requestOf(frame); m != "" && id < 0 {
			t.Errorf("method %q of call %d", m, id)
		}
		if h, ok := responseOf(frame); ok && h == nil {
			t.Error("no header")
		}
	})
}
