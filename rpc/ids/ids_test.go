package ids

import (
	"encoding/json"
	"testing"
)

func TestIDForms(t *testing.T) {
	const hex = "000102030405060708090a0b0c0d0eff"
	id, err := ParseJobID(hex)
	if err != nil || id.String() != hex {
		t.Fatalf("ParseJobID(%q) = %v, %v", hex, id, err)
	}
	back, err := JobIDFromBytes(id.Bytes())
	if err != nil || back != id {
		t.Errorf("JobIDFromBytes(Bytes()) = %v, %v, want %v", back, err, id)
	}
	text, err := json.Marshal(map[JobID]JobID{id: id})
	if want := `{"` + hex + `":"` + hex + `"}`; err != nil || string(text) != want {
		t.Errorf("json = %s, %v, want %s", text, err, want)
	}
	var m map[JobID]JobID
	if err := json.Unmarshal(text, &m); err != nil || m[id] != id {
		t.Errorf("json back = %v, %v", m, err)
	}
	if (JobID{}).Bytes() != nil || !(JobID{}).IsZero() {
		t.Error("the zero id must have no bytes and be zero")
	}
}

func TestIDRefusals(t *testing.T) {
	for _, s := range []string{"", "00", "000102030405060708090a0b0c0d0exx", "000102030405060708090a0b0c0d0eff00"} {
		if id, err := ParseVertexID(s); err == nil || !id.IsZero() {
			t.Errorf("ParseVertexID(%q) = %v, %v, want an error and zero", s, id, err)
		}
	}
	for _, n := range []int{0, 15, 17} {
		if _, err := OperatorIDFromBytes(make([]byte, n)); err == nil {
			t.Errorf("OperatorIDFromBytes(%d bytes) succeeded", n)
		}
	}
}

// TestDerived pins derived ids: savepoints and the file sink depend on them, so a change is a format change.
func TestDerived(t *testing.T) {
	op := OperatorIDForUID("source")
	for _, c := range []struct{ what, got, want string }{
		{"job of application", JobIDForApplication("application_1700000000000_0001").String(), "10a68098d7d463ec2f26469e05d59d96"},
		{"operator of uid", op.String(), "97629e7f6b5b60b82f6f2b979354cff2"},
		{"vertex of chain", VertexIDForChain(op).String(), op.String()},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
	if OperatorIDForStructure([]byte("ab"), []byte("c")) == OperatorIDForStructure([]byte("a"), []byte("bc")) {
		t.Error("structure ids ignore where a part ends")
	}
	if EdgeIDFor(op, op, 0, 1) == EdgeIDFor(op, op, 1, 0) {
		t.Error("edge ids ignore the input")
	}
}

func TestExecutionAttemptID(t *testing.T) {
	a := ExecutionAttemptID{Job: NewJobID(), Vertex: VertexIDForChain(OperatorIDForUID("x")), Subtask: 7, Epoch: StandaloneEpoch(2, 1), N: 3}
	if want := a.Job.String() + "_" + a.Vertex.String() + "_7_8589934593-3"; a.String() != want {
		t.Errorf("String() = %s, want %s", a, want)
	}
	back, err := ParseExecutionAttemptID(a.String())
	if err != nil || back != a {
		t.Errorf("parse back = %v, %v, want %v", back, err, a)
	}
	for _, s := range []string{"", "a_b_c_d", a.Job.String() + "_" + a.Vertex.String() + "_7_3", a.String() + "_1"} {
		if _, err := ParseExecutionAttemptID(s); err == nil {
			t.Errorf("ParseExecutionAttemptID(%q) succeeded", s)
		}
	}
	b := a
	b.N++
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
		t.Error("Compare does not order by n")
	}
}

func TestSessionID(t *testing.T) {
	const text = "00000001-0000-0002-0123-456789abcdef"
	s, err := ParseSessionID(text)
	if err != nil || s.Epoch() != StandaloneEpoch(1, 2) || s.String() != text {
		t.Errorf("session %s has epoch %d, %v", s, s.Epoch(), err)
	}
	if _, err := ParseSessionID("0000000100000002"); err == nil {
		t.Error("a short session id was accepted")
	}
	if SlotID := (SlotID{"container_1", 2}); SlotID.String() != "container_1_2" {
		t.Errorf("slot id prints %s", SlotID)
	}
}

func FuzzParseExecutionAttemptID(f *testing.F) {
	f.Add("000102030405060708090a0b0c0d0eff_000102030405060708090a0b0c0d0eff_0_1-1")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseExecutionAttemptID(s)
		if err != nil {
			return
		}
		if b, err := ParseExecutionAttemptID(a.String()); err != nil || a != b {
			t.Errorf("%q parses to %v, which parses to %v, %v", s, a, b, err)
		}
	})
}
