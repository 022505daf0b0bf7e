package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/rpc/ids"
)

// The marshalled form is JSON with ids in hex; fields are only ever added, a change of meaning raises Version.
type wirePlan struct {
	Version        int         `json:"version"`
	Name           string      `json:"name"`
	Parallelism    int         `json:"parallelism,omitempty"`
	MaxParallelism int         `json:"maxParallelism,omitempty"`
	Mode           RuntimeMode `json:"mode,omitempty"`
	Operators      []wireOp    `json:"operators"`
	Edges          []wireEdge  `json:"edges"`
	Params         []wireParam `json:"params,omitempty"`
}

type wireOp struct {
	ID             string   `json:"id"`
	UID            string   `json:"uid,omitempty"`
	Name           string   `json:"name"`
	Kind           Kind     `json:"kind"`
	Func           string   `json:"func"`
	Parallelism    int      `json:"parallelism,omitempty"`
	MaxParallelism int      `json:"maxParallelism,omitempty"`
	Bounded        bool     `json:"bounded,omitempty"`
	Coordinated    bool     `json:"coordinated,omitempty"`
	Keyed          bool     `json:"keyed,omitempty"`
	Chaining       Chaining `json:"chaining,omitempty"`
}

type wireEdge struct {
	ID    string `json:"id"`
	From  string `json:"from"`
	To    string `json:"to"`
	Input int    `json:"input,omitempty"`
	Ship  Ship   `json:"ship"`
	Type  string `json:"type"`
	Codec string `json:"codec"`
}

type wireParam struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Marshal returns the plan's stored form; the same plan gives the same bytes.
func (p *Plan) Marshal() ([]byte, error) {
	w := wirePlan{Version: Version, Name: p.Name, Parallelism: p.Parallelism, MaxParallelism: p.MaxParallelism, Mode: p.Mode}
	for i := range p.Operators {
		o := &p.Operators[i]
		w.Operators = append(w.Operators, wireOp{hex.EncodeToString(o.ID[:]), o.UID, o.Name, o.Kind, o.Func,
			o.Parallelism, o.MaxParallelism, o.Bounded, o.Coordinated, o.Keyed, o.Chaining})
	}
	for i := range p.Edges {
		e := &p.Edges[i]
		w.Edges = append(w.Edges, wireEdge{hex.EncodeToString(e.ID[:]), hex.EncodeToString(e.From[:]), hex.EncodeToString(e.To[:]),
			e.Input, e.Ship, e.Type, e.Codec})
	}
	for _, v := range p.Params {
		w.Params = append(w.Params, wireParam(v))
	}
	b, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("marshal plan %q: %w", p.Name, err)
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("marshal plan %q: %d bytes are above the limit of %d", p.Name, len(b), MaxBytes)
	}
	return b, nil
}

// Unmarshal reads a stored plan and validates it. Fields of a later minor form are ignored; another Version is refused.
func Unmarshal(b []byte) (*Plan, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("unmarshal plan: %d bytes are above the limit of %d", len(b), MaxBytes)
	}
	var w wirePlan
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("unmarshal plan: %w", err)
	}
	if w.Version != Version {
		return nil, fmt.Errorf("unmarshal plan: version %d, this program reads version %d", w.Version, Version)
	}
	if len(w.Operators) > MaxOperators || len(w.Edges) > MaxEdges || len(w.Params) > MaxParams {
		return nil, fmt.Errorf("unmarshal plan: %d operators, %d edges, %d parameters are too many", len(w.Operators), len(w.Edges), len(w.Params))
	}
	p := &Plan{Version: w.Version, Name: w.Name, Parallelism: w.Parallelism, MaxParallelism: w.MaxParallelism, Mode: w.Mode}
	var u unhexer
	for _, o := range w.Operators {
		p.Operators = append(p.Operators, Operator{ids.OperatorID(u.id(o.ID)), o.UID, o.Name, o.Kind, o.Func,
			o.Parallelism, o.MaxParallelism, o.Bounded, o.Coordinated, o.Keyed, o.Chaining})
	}
	for _, e := range w.Edges {
		p.Edges = append(p.Edges, Edge{ids.EdgeID(u.id(e.ID)), ids.OperatorID(u.id(e.From)), ids.OperatorID(u.id(e.To)), e.Input, e.Ship, e.Type, e.Codec})
	}
	for _, v := range w.Params {
		p.Params = append(p.Params, Param(v))
	}
	if u.err != nil {
		return nil, fmt.Errorf("unmarshal plan %q: %w", p.Name, u.err)
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("unmarshal plan %q: %w", p.Name, err)
	}
	return p, nil
}

type unhexer struct{ err error }

func (u *unhexer) id(s string) (id [16]byte) {
	if b, err := hex.DecodeString(s); err == nil && len(b) == len(id) {
		copy(id[:], b)
	} else if u.err == nil {
		u.err = fmt.Errorf("%q is not an id of 32 hexadecimal digits", s)
	}
	return id
}

// Digest identifies what the job does: everything but parallelism, names, chaining wishes and configuration.
func (p *Plan) Digest() [32]byte {
	h := sha256.New()
	for _, l := range p.facts() {
		writeText(h, l.what)
		writeText(h, l.value)
	}
	return [32]byte(h.Sum(nil))
}

func writeText(w io.Writer, s string) {
	io.WriteString(w, strconv.Itoa(len(s))) //nolint:errcheck // a hash does not fail
	io.WriteString(w, ":"+s)                //nolint:errcheck // a hash does not fail
}

type fact struct{ what, value string }

// facts lists what the digest covers, in words that Diff can print.
func (p *Plan) facts() []fact {
	f := []fact{{"the number of operators", strconv.Itoa(len(p.Operators))}}
	for i := range p.Operators {
		o := &p.Operators[i]
		who := fmt.Sprintf("operator %d", i+1)
		f = append(f, fact{"the kind of " + who, o.Kind.String()}, fact{"the UID of " + who, o.UID}, fact{"the function of " + who, o.Func},
			fact{"the id of " + who, hex.EncodeToString(o.ID[:])},
			fact{"whether " + who + " is bounded, coordinated, keyed", fmt.Sprint(o.Bounded, o.Coordinated, o.Keyed)})
	}
	f = append(f, fact{"the number of edges", strconv.Itoa(len(p.Edges))})
	for i := range p.Edges {
		e := &p.Edges[i]
		who := fmt.Sprintf("edge %d", i+1)
		f = append(f, fact{"the record type of " + who, e.Type}, fact{"the codec of " + who, e.Codec}, fact{"the shipping of " + who, e.Ship.String()},
			fact{"the ends of " + who, fmt.Sprintf("%x -> %x input %d", e.From[:], e.To[:], e.Input)}, fact{"the id of " + who, hex.EncodeToString(e.ID[:])})
	}
	f = append(f, fact{"the number of parameters", strconv.Itoa(len(p.Params))})
	for i, v := range p.Params {
		f = append(f, fact{fmt.Sprintf("the name of parameter %d", i+1), v.Name}, fact{"the value of parameter " + v.Name, v.Value})
	}
	return f
}

// Diff says in one sentence what differs first between two plans with different digests; it is empty when the digests agree.
func Diff(a, b *Plan) string {
	if da, db := a.Digest(), b.Digest(); bytes.Equal(da[:], db[:]) {
		return ""
	}
	fa, fb := a.facts(), b.facts()
	for i := range min(len(fa), len(fb)) {
		if fa[i] == fb[i] {
			continue
		}
		return fmt.Sprintf("%s%s differs: %q and %q", fa[i].what, a.called(fa[i].what), fa[i].value, fb[i].value)
	}
	return "one plan goes on where the other ends"
}

// called adds the operator's name to what Diff says, since a number alone tells a person little.
func (p *Plan) called(what string) string {
	for i := range p.Operators {
		suffix := fmt.Sprintf("operator %d", i+1)
		if strings.HasSuffix(what, " "+suffix) {
			return fmt.Sprintf(" (%s)", p.Operators[i].Name)
		}
	}
	return ""
}
