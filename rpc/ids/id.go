package ids

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// ID is a 16-byte identifier of kind K; the kinds make distinct types of it. The zero value means "none".
type ID[K kind] [16]byte

// kind names an id in error messages; its types exist only as parameters of ID.
type kind interface{ name() string }

type (
	jobKind        struct{}
	vertexKind     struct{}
	operatorKind   struct{}
	edgeKind       struct{}
	allocationKind struct{}
	instanceKind   struct{}
)

func (jobKind) name() string        { return "job id" }
func (vertexKind) name() string     { return "vertex id" }
func (operatorKind) name() string   { return "operator id" }
func (edgeKind) name() string       { return "edge id" }
func (allocationKind) name() string { return "allocation id" }
func (instanceKind) name() string   { return "instance id" }

type (
	// JobID names a job (Flink: JobID).
	JobID = ID[jobKind]
	// VertexID names a chain of operators (Flink: JobVertexID); it equals the id of the chain's first operator.
	VertexID = ID[vertexKind]
	// OperatorID names an operator over restarts and savepoints (Flink: OperatorID).
	OperatorID = ID[operatorKind]
	// EdgeID names an edge of the plan.
	EdgeID = ID[edgeKind]
	// AllocationID names one use of a slot by one job (Flink: AllocationID).
	AllocationID = ID[allocationKind]
	// InstanceID names one registration of a worker at a ResourceManager (Flink: InstanceID).
	InstanceID = ID[instanceKind]
)

// String returns 32 hexadecimal digits.
func (id ID[K]) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id names nothing.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

// Bytes returns a copy of the 16 bytes, or nil for the zero id, as protobuf messages carry it.
func (id ID[K]) Bytes() []byte {
	if id.IsZero() {
		return nil
	}
	return append([]byte(nil), id[:]...)
}

// Compare orders ids by their bytes, for deterministic iteration.
func (id ID[K]) Compare(other ID[K]) int {
	for i := range id {
		if id[i] != other[i] {
			return int(id[i]) - int(other[i])
		}
	}
	return 0
}

// MarshalText and UnmarshalText use the printed form.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the printed form.
func (id *ID[K]) UnmarshalText(text []byte) error {
	parsed, err := parse[K](string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

func parse[K kind](s string) (ID[K], error) {
	var id ID[K]
	var k K
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("parse %s %.40q: want 32 hexadecimal digits, got %d characters", k.name(), s, len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID[K]{}, fmt.Errorf("parse %s %q: %w", k.name(), s, err)
	}
	return id, nil
}

func fromBytes[K kind](b []byte) (ID[K], error) {
	var id ID[K]
	var k K
	if len(b) != len(id) {
		return id, fmt.Errorf("read %s: want 16 bytes, got %d", k.name(), len(b))
	}
	copy(id[:], b)
	return id, nil
}

func random[K kind]() ID[K] {
	var id ID[K]
	rand.Read(id[:]) // never fails: it ends the program instead
	return id
}

// hashed derives an id from content. Each part is preceded by its length, so that no two lists of parts give the same bytes.
func hashed[K kind](domain string, parts ...[]byte) ID[K] {
	h := sha256.New()
	for _, p := range append([][]byte{[]byte(domain)}, parts...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	var id ID[K]
	copy(id[:], h.Sum(nil))
	return id
}

// ParseJobID reads 32 hexadecimal digits.
func ParseJobID(s string) (JobID, error) { return parse[jobKind](s) }

// ParseVertexID reads 32 hexadecimal digits.
func ParseVertexID(s string) (VertexID, error) { return parse[vertexKind](s) }

// ParseOperatorID reads 32 hexadecimal digits.
func ParseOperatorID(s string) (OperatorID, error) { return parse[operatorKind](s) }

// ParseEdgeID reads 32 hexadecimal digits.
func ParseEdgeID(s string) (EdgeID, error) { return parse[edgeKind](s) }

// ParseAllocationID reads 32 hexadecimal digits.
func ParseAllocationID(s string) (AllocationID, error) { return parse[allocationKind](s) }

// ParseInstanceID reads 32 hexadecimal digits.
func ParseInstanceID(s string) (InstanceID, error) { return parse[instanceKind](s) }

// JobIDFromBytes reads exactly 16 bytes.
func JobIDFromBytes(b []byte) (JobID, error) { return fromBytes[jobKind](b) }

// VertexIDFromBytes reads exactly 16 bytes.
func VertexIDFromBytes(b []byte) (VertexID, error) { return fromBytes[vertexKind](b) }

// OperatorIDFromBytes reads exactly 16 bytes.
func OperatorIDFromBytes(b []byte) (OperatorID, error) { return fromBytes[operatorKind](b) }

// EdgeIDFromBytes reads exactly 16 bytes.
func EdgeIDFromBytes(b []byte) (EdgeID, error) { return fromBytes[edgeKind](b) }

// AllocationIDFromBytes reads exactly 16 bytes.
func AllocationIDFromBytes(b []byte) (AllocationID, error) { return fromBytes[allocationKind](b) }

// InstanceIDFromBytes reads exactly 16 bytes.
func InstanceIDFromBytes(b []byte) (InstanceID, error) { return fromBytes[instanceKind](b) }

// NewJobID returns a random job id (local mode, sessions).
func NewJobID() JobID { return random[jobKind]() }

// NewAllocationID returns a random allocation id.
func NewAllocationID() AllocationID { return random[allocationKind]() }

// NewInstanceID returns a random instance id.
func NewInstanceID() InstanceID { return random[instanceKind]() }

// JobIDForApplication is the id of the one job of an application: the first 16 bytes of SHA-256 over the printed application id.
func JobIDForApplication(appID string) JobID {
	sum := sha256.Sum256([]byte(appID))
	return JobID(sum[:16])
}

// OperatorIDForUID is the id of an operator whose author gave it a UID; it changes only with the UID.
func OperatorIDForUID(uid string) OperatorID {
	return hashed[operatorKind]("flott operator uid", []byte(uid))
}

// OperatorIDForStructure is the id of an operator without UID, from whatever describes its place in the plan.
func OperatorIDForStructure(parts ...[]byte) OperatorID {
	return hashed[operatorKind]("flott operator structure", parts...)
}

// VertexIDForChain is the id of the chain that begins with head.
func VertexIDForChain(head OperatorID) VertexID { return VertexID(head) }

// EdgeIDFor is the id of the edge that enters input of to and comes from from; n tells parallel edges between the same two apart.
func EdgeIDFor(from, to OperatorID, input, n int) EdgeID {
	var tail [16]byte
	binary.BigEndian.PutUint64(tail[:8], uint64(input))
	binary.BigEndian.PutUint64(tail[8:], uint64(n))
	return hashed[edgeKind]("flott edge", from[:], to[:], tail[:])
}
