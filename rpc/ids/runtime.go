package ids

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// ResourceID names a process: the container id on YARN (Flink: ResourceID).
type ResourceID string

// Epoch is the leader token of an application: one per application, +1 per grant, never reused. 0 means "not known".
type Epoch uint64

// String prints the epoch in decimal.
func (e Epoch) String() string { return strconv.FormatUint(uint64(e), 10) }

// StandaloneEpoch is the epoch of the given grant (from 1) in the given application attempt, when nothing durable counts epochs.
func StandaloneEpoch(attempt, grant uint32) Epoch { return Epoch(attempt)<<32 + Epoch(grant) }

// RequestID names a request on streams; the worker remembers it per epoch.
type RequestID uint64

// SessionID is what Flink's clients see as leader session id: the high 64 bits are the epoch, the low 64 bits random.
type SessionID [16]byte

// Epoch returns the epoch inside s.
func (s SessionID) Epoch() Epoch { return Epoch(binary.BigEndian.Uint64(s[:8])) }

// String prints the form of java.util.UUID.
func (s SessionID) String() string {
	h := hex.EncodeToString(s[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseSessionID reads the form of java.util.UUID with all its digits.
func ParseSessionID(text string) (SessionID, error) {
	var s SessionID
	parts := strings.Split(text, "-")
	if len(text) != 36 || len(parts) != 5 || len(parts[0]) != 8 || len(parts[1]) != 4 || len(parts[2]) != 4 || len(parts[3]) != 4 {
		return s, fmt.Errorf("parse session id %.50q: want the form of a UUID", text)
	}
	if _, err := hex.Decode(s[:], []byte(strings.Join(parts, ""))); err != nil {
		return SessionID{}, fmt.Errorf("parse session id %q: %w", text, err)
	}
	return s, nil
}

// Generation is what a deployment belongs to: the leader's epoch and how often its region was restarted in it.
type Generation struct {
	Epoch   Epoch
	Restart uint32
}

// Compare orders generations by epoch, then restart.
func (g Generation) Compare(other Generation) int {
	return cmp.Or(cmp.Compare(g.Epoch, other.Epoch), cmp.Compare(g.Restart, other.Restart))
}

// String prints "<epoch>/<restart>".
func (g Generation) String() string { return fmt.Sprintf("%d/%d", g.Epoch, g.Restart) }

// ExecutionAttemptID names one execution of one subtask. It is comparable and never renumbered: N counts up within Epoch.
type ExecutionAttemptID struct {
	Job     JobID
	Vertex  VertexID
	Subtask uint32
	Epoch   Epoch
	N       uint32
}

// String prints Flink's "<job>_<vertex>_<subtask>_<attempt>"; since N alone repeats in another epoch and the text names directories
// too, the attempt is "<epoch>-<n>".
func (a ExecutionAttemptID) String() string {
	return fmt.Sprintf("%s_%s_%d_%d-%d", a.Job, a.Vertex, a.Subtask, a.Epoch, a.N)
}

// IsZero reports whether a names nothing.
func (a ExecutionAttemptID) IsZero() bool { return a == ExecutionAttemptID{} }

// Compare orders by job, vertex, subtask, epoch, n.
func (a ExecutionAttemptID) Compare(b ExecutionAttemptID) int {
	return cmp.Or(a.Job.Compare(b.Job), a.Vertex.Compare(b.Vertex), cmp.Compare(a.Subtask, b.Subtask),
		cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.N, b.N))
}

// ParseExecutionAttemptID reads what String prints.
func ParseExecutionAttemptID(s string) (ExecutionAttemptID, error) {
	fail := func(err error) (ExecutionAttemptID, error) {
		return ExecutionAttemptID{}, fmt.Errorf("parse execution attempt id %.120q: %w", s, err)
	}
	parts := strings.Split(s, "_")
	if len(parts) != 4 {
		return fail(fmt.Errorf("want 4 parts, got %d", len(parts)))
	}
	var a ExecutionAttemptID
	var err error
	if a.Job, err = ParseJobID(parts[0]); err != nil {
		return fail(err)
	}
	if a.Vertex, err = ParseVertexID(parts[1]); err != nil {
		return fail(err)
	}
	epoch, n, ok := strings.Cut(parts[3], "-")
	if !ok {
		return fail(fmt.Errorf("want <epoch>-<n>, got %q", parts[3]))
	}
	for _, f := range []struct {
		text string
		bits int
		set  func(uint64)
	}{
		{parts[2], 32, func(v uint64) { a.Subtask = uint32(v) }},
		{epoch, 64, func(v uint64) { a.Epoch = Epoch(v) }},
		{n, 32, func(v uint64) { a.N = uint32(v) }},
	} {
		v, err := strconv.ParseUint(f.text, 10, f.bits)
		if err != nil {
			return fail(err)
		}
		f.set(v)
	}
	return a, nil
}

// SlotID names a slot of a worker.
type SlotID struct {
	Resource ResourceID
	Index    int
}

// String prints Flink's "<resource>_<index>".
func (s SlotID) String() string { return fmt.Sprintf("%s_%d", s.Resource, s.Index) }
