//go:build race || invariants

package memory

import "testing"

func TestPoison(t *testing.T) {
	p := share(t, network(t, 1), 1)
	if err := p.Reserve(1); err != nil {
		t.Fatal(err)
	}
	b := p.Get()
	p.Put(b)
	if b[0] != 0xdb || b[BufferSize-1] != 0xdb {
		t.Errorf("a buffer that was given back reads %x", b[:4])
	}
}
