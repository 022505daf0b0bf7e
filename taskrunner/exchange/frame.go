package exchange

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/taskrunner/memory"
)

const (
	frameVersion = 1
	headerSize   = 20
	// maxData is the most payload of a data frame: what a buffer holds.
	maxData = memory.BufferSize
	// maxControl is the most payload of every other frame.
	maxControl = 16 << 10
	// MaxRecord is the most bytes of one encoded record.
	MaxRecord = 64 << 20
)

type frameKind uint8

const (
	frameHello frameKind = iota + 1
	frameWelcome
	frameRequest
	frameData
	frameEvent
	frameCredit
	frameCancel
	frameError
)

// Flags of data frames.
const (
	flagTimes  = 1
	flagAfter  = 2 // a fragment comes before
	flagBefore = 4 // a fragment follows
)

// header is the header of a frame, as package documentation draws it.
type header struct {
	kind     frameKind
	flags    uint8
	backlog  uint8
	channel  uint32
	sequence uint32
	length   uint32
	checksum uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendHeader makes room for a header; sealFrame fills it in when the payload is behind it.
func appendHeader(dst []byte) []byte { return append(dst, make([]byte, headerSize)...) }

// sealFrame writes the header of the frame that starts at b[0] and ends with b.
func sealFrame(b []byte, h header) {
	b[0], b[1], b[2], b[3] = frameVersion, byte(h.kind), h.flags, h.backlog
	le := binary.LittleEndian
	le.PutUint32(b[4:], h.channel)
	le.PutUint32(b[8:], h.sequence)
	le.PutUint32(b[12:], uint32(len(b)-headerSize))
	le.PutUint32(b[16:], checksum(b[:16], b[headerSize:]))
}

func checksum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, head), castagnoli, payload)
}

// appendFrame appends a whole frame.
func appendFrame(dst []byte, h header, payload []byte) []byte {
	start := len(dst)
	dst = append(appendHeader(dst), payload...)
	sealFrame(dst[start:], h)
	return dst
}

// parseHeader reads a header and checks the length against what the kind allows, before anything is allocated.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, fmt.Errorf("%w: header of %d bytes", ErrProtocol, len(b))
	}
	if b[0] != frameVersion {
		return header{}, fmt.Errorf("%w: frame version %d, this end speaks %d", ErrProtocol, b[0], frameVersion)
	}
	le := binary.LittleEndian
	h := header{kind: frameKind(b[1]), flags: b[2], backlog: b[3], channel: le.Uint32(b[4:]), sequence: le.Uint32(b[8:]),
		length: le.Uint32(b[12:]), checksum: le.Uint32(b[16:])}
	limit := uint32(maxControl)
	switch h.kind {
	case frameData:
		limit = maxData
	case frameHello, frameWelcome, frameRequest, frameEvent, frameCredit, frameCancel, frameError:
	default:
		return header{}, fmt.Errorf("%w: frame of unknown kind %d", ErrProtocol, h.kind)
	}
	if h.length > limit {
		return header{}, fmt.Errorf("%w: frame of kind %d with %d bytes, at most %d are allowed", ErrProtocol, h.kind, h.length, limit)
	}
	return h, nil
}

// readFrame reads a frame; its payload lands in what buffer returns for the header.
func readFrame(r io.Reader, scratch *[headerSize]byte, buffer func(header) ([]byte, error)) (header, []byte, error) {
	if _, err := io.ReadFull(r, scratch[:]); err != nil {
		return header{}, nil, err
	}
	h, err := parseHeader(scratch[:])
	if err != nil {
		return header{}, nil, err
	}
	b, err := buffer(h)
	if err != nil {
		return header{}, nil, err
	}
	b = b[:h.length]
	if _, err := io.ReadFull(r, b); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return h, b, err
	}
	if got := checksum(scratch[:16], b); got != h.checksum {
		return h, b, fmt.Errorf("%w: checksum %08x of a frame of kind %d, the header says %08x", ErrProtocol, got, h.kind, h.checksum)
	}
	return h, b, nil
}

// hello is the payload of hello and welcome: who speaks, and for which job.
type hello struct {
	job  ids.JobID
	addr string // of the speaker's listener; empty when it has none
}

const helloMagic = "flott exchange 1"

func (h hello) marshal() []byte {
	b := append([]byte(helloMagic), h.job[:]...)
	return append(b, h.addr...)
}

func parseHello(b []byte) (hello, error) {
	n := len(helloMagic)
	if len(b) < n+16 || string(b[:n]) != helloMagic || len(b) > n+16+1024 {
		return hello{}, fmt.Errorf("%w: peer is no exchange", ErrProtocol)
	}
	return hello{job: ids.JobID(b[n : n+16]), addr: string(b[n+16:])}, nil
}

// request is the payload of a request: which channel of which generation, and the first credit.
type request struct {
	id     channelID
	gen    ids.Generation
	credit uint32
}

const requestSize = 16 + 4 + 4 + 8 + 4 + 4

func (r request) marshal() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, requestSize), r.id.edge[:]...)
	b = le.AppendUint32(b, r.id.from)
	b = le.AppendUint32(b, r.id.to)
	b = le.AppendUint64(b, uint64(r.gen.Epoch))
	b = le.AppendUint32(b, r.gen.Restart)
	return le.AppendUint32(b, r.credit)
}

func parseRequest(b []byte) (request, error) {
	if len(b) != requestSize {
		return request{}, fmt.Errorf("%w: request of %d bytes", ErrProtocol, len(b))
	}
	le := binary.LittleEndian
	return request{
		id:     channelID{ids.EdgeID(b[:16]), le.Uint32(b[16:]), le.Uint32(b[20:])},
		gen:    ids.Generation{Epoch: ids.Epoch(le.Uint64(b[24:])), Restart: le.Uint32(b[32:])},
		credit: le.Uint32(b[36:]),
	}, nil
}

// channelID names a channel; with the generation of its producer it is unique within a job.
type channelID struct {
	edge     ids.EdgeID
	from, to uint32
}

func (c channelID) String() string {
	return fmt.Sprintf("%s from subtask %d to %d", c.edge, c.from, c.to)
}
