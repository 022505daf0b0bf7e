package dfs

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/flott-dev/flott/yarn/proto/hdfspb"
)

// fakeDN is a DataNode on the real wire (Java: DataXceiver, data transfer version 28) that keeps blocks in memory.
type fakeDN struct {
	t  testing.TB
	ln net.Listener
	wg sync.WaitGroup

	mu     sync.Mutex
	blocks map[uint64][]byte
	conns  map[net.Conn]struct{}
	dials  int
	plan   func(dial int, write bool) dnPlan // what goes wrong on the n-th connection (from 1)
}

// dnPlan is the trouble of one connection; the zero value is none.
type dnPlan struct {
	mute      bool // accept and say nothing
	dropAfter int  // hang up after so many packets (+1; 0: never)
	muteAfter int  // fall silent after so many packets (+1)
	badAck    int  // acknowledge this packet (+1) as an error
	badSum    int  // send this packet (+1) with one byte flipped
}

func newFakeDN(t testing.TB) *fakeDN {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &fakeDN{t: t, ln: ln, blocks: map[uint64][]byte{}, conns: map[net.Conn]struct{}{}}
	d.wg.Go(d.accept)
	t.Cleanup(func() {
		ln.Close()
		d.mu.Lock()
		for c := range d.conns {
			c.Close()
		}
		d.mu.Unlock()
		d.wg.Wait()
	})
	return d
}

func (d *fakeDN) addr() (string, uint32) {
	a := d.ln.Addr().(*net.TCPAddr)
	return a.IP.String(), uint32(a.Port)
}

func (d *fakeDN) size(id uint64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.blocks[id])
}

func (d *fakeDN) open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

func (d *fakeDN) trouble(f func(dial int, write bool) dnPlan) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan, d.dials = f, 0
}

func (d *fakeDN) accept() {
	for {
		c, err := d.ln.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.conns[c] = struct{}{}
		d.dials++
		dial, plan := d.dials, d.plan
		d.mu.Unlock()
		d.wg.Go(func() {
			d.serve(c, func(write bool) dnPlan {
				if plan == nil {
					return dnPlan{}
				}
				return plan(dial, write)
			})
			c.Close()
			d.mu.Lock()
			delete(d.conns, c)
			d.mu.Unlock()
		})
	}
}

func (d *fakeDN) serve(c net.Conn, plan func(bool) dnPlan) {
	r := bufio.NewReader(c)
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return
	}
	op, err := readDelimited(r)
	if err != nil {
		return
	}
	p := plan(head[2] == 0x50)
	if p.mute {
		_, _ = io.Copy(io.Discard, r)
		return
	}
	var block pb.ExtendedBlockProto
	if proto.Unmarshal(field(field(field(op, 1), 1), 1), &block) != nil {
		return
	}
	switch head[2] {
	case 0x50:
		d.write(c, r, block.GetBlockId(), p)
	case 0x51:
		d.read(c, block.GetBlockId(), int(varintField(op, 2)), int(varintField(op, 3)), p)
		_, _ = io.Copy(io.Discard, r)
	}
}

func readDelimited(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}

func varintField(b []byte, want protowire.Number) uint64 {
	for len(b) > 0 {
		num, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			return 0
		}
		b = b[k:]
		if num == want {
			switch typ {
			case protowire.VarintType:
				v, _ := protowire.ConsumeVarint(b)
				return v
			case protowire.Fixed64Type:
				v, _ := protowire.ConsumeFixed64(b)
				return v
			case protowire.Fixed32Type:
				v, _ := protowire.ConsumeFixed32(b)
				return uint64(v)
			}
		}
		b = b[max(protowire.ConsumeFieldValue(num, typ, b), 1):]
	}
	return 0
}

func delim(b []byte) []byte { return protowire.AppendBytes(nil, b) }

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendMsg(b []byte, num protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), m)
}

// write receives packets and acknowledges each.
func (d *fakeDN) write(c net.Conn, r *bufio.Reader, id uint64, p dnPlan) {
	// status=1 SUCCESS, firstBadLink=2 "": shorter answers the byte client cannot read
	if _, err := c.Write(delim(appendMsg(appendVarint(nil, 1, 0), 2, nil))); err != nil {
		return
	}
	for n := 1; ; n++ {
		var head [6]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		hdr := make([]byte, binary.BigEndian.Uint16(head[4:]))
		body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
		if _, err := io.ReadFull(r, hdr); err != nil {
			return
		}
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		switch n {
		case p.dropAfter:
			return
		case p.muteAfter:
			_, _ = io.Copy(io.Discard, r)
			return
		}
		data := body[len(body)-int(varintField(hdr, 4)):]
		d.mu.Lock()
		d.blocks[id] = append(d.blocks[id], data...)
		d.mu.Unlock()
		status := uint64(0)
		if n == p.badAck {
			status = 1
		}
		// seqno=1 sint64, reply=2 enum
		ack := appendVarint(appendVarint(nil, 1, protowire.EncodeZigZag(int64(varintField(hdr, 2)))), 2, status)
		if _, err := c.Write(delim(ack)); err != nil || varintField(hdr, 3) == 1 {
			return
		}
	}
}

// read sends packets of 64 KiB from the checksum chunk that holds off.
func (d *fakeDN) read(c net.Conn, id uint64, off, length int, p dnPlan) {
	const chunk = 512
	d.mu.Lock()
	data := d.blocks[id]
	d.mu.Unlock()
	start, end := off/chunk*chunk, min((off+length+chunk-1)/chunk*chunk, len(data))
	sum := appendVarint(appendVarint(nil, 1, 2), 2, chunk) // CRC32C
	resp := appendMsg(appendVarint(nil, 1, 0), 4, appendVarint(appendMsg(nil, 1, sum), 2, uint64(start)))
	if _, err := c.Write(delim(resp)); err != nil {
		return
	}
	for n := 1; ; n++ {
		k := min(end-start, 64<<10)
		if n == p.dropAfter {
			c.(*net.TCPConn).CloseWrite()
			return
		}
		if n == p.muteAfter {
			return
		}
		pkt := packet(data[start:start+k], start, n, k == 0)
		if n == p.badSum {
			pkt[len(pkt)-1] ^= 1
		}
		if _, err := c.Write(pkt); err != nil || k == 0 {
			return
		}
		start += k
	}
}

func packet(data []byte, off, seq int, last bool) []byte {
	var sums []byte
	for i := 0; i < len(data); i += 512 {
		sums = binary.BigEndian.AppendUint32(sums, crc32.Checksum(data[i:min(i+512, len(data))], crc32.MakeTable(crc32.Castagnoli)))
	}
	hdr := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), uint64(off))
	hdr = protowire.AppendFixed64(protowire.AppendTag(hdr, 2, protowire.Fixed64Type), uint64(seq))
	flag := uint64(0)
	if last {
		flag = 1
	}
	hdr = appendVarint(hdr, 3, flag)
	hdr = protowire.AppendFixed32(protowire.AppendTag(hdr, 4, protowire.Fixed32Type), uint32(len(data)))
	out := binary.BigEndian.AppendUint32(nil, uint32(4+len(sums)+len(data)))
	out = binary.BigEndian.AppendUint16(out, uint16(len(hdr)))
	return append(append(append(out, hdr...), sums...), data...)
}

// forget drops all blocks.
func (d *fakeDN) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.blocks)
}
