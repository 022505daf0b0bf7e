package yarnid

import (
	"errors"
	"testing"
)

func TestStringAndParse(t *testing.T) {
	app := ApplicationID{1410901177871, 1}
	for want, id := range map[string]ApplicationID{
		"application_1410901177871_0001":  app,
		"application_1410901177871_12345": {1410901177871, 12345},
		"application_0_0000":              {},
	} {
		check(t, want, id, ApplicationID.String, ParseApplicationID)
	}
	for want, id := range map[string]AttemptID{
		"appattempt_1410901177871_0001_000002":  {app, 2},
		"appattempt_1410901177871_0001_1234567": {app, 1234567},
	} {
		check(t, want, id, AttemptID.String, ParseAttemptID)
	}
	for want, id := range map[string]ContainerID{
		"container_1410901177871_0001_01_000005":       {AttemptID{app, 1}, 5},
		"container_e17_1410901177871_0001_01_000005":   {AttemptID{app, 1}, 17<<40 | 5},
		"container_e03_1410901177871_0001_123_1234567": {AttemptID{app, 123}, 3<<40 | 1234567},
		"container_e8388607_1_0001_01_1099511627775":   {AttemptID{ApplicationID{1, 1}, 1}, 1<<63 - 1},
	} {
		check(t, want, id, ContainerID.String, ParseContainerID)
	}
	check(t, "nm1:45454", NodeID{"nm1", 45454}, NodeID.String, ParseNodeID)
}

func check[T comparable](t *testing.T, text string, id T, str func(T) string, parse func(string) (T, error)) {
	t.Helper()
	if got := str(id); got != text {
		t.Errorf("String: got %s, want %s", got, text)
	}
	if got, err := parse(text); err != nil || got != id {
		t.Errorf("parse %s: got %+v, %v, want %+v", text, got, err, id)
	}
}

func TestParseRefuses(t *testing.T) {
	refused := func(name, s string, err error) {
		if !errors.Is(err, ErrSyntax) {
			t.Errorf("parse %s %q: got error %v, want ErrSyntax", name, s, err)
		}
	}
	for _, s := range []string{"", "application", "application_1", "application_1_2_3", "application_-1_2", "application_1_+2", "application_1_2147483648",
		"application_ 1_2", "appattempt_1_2_3", "application_99999999999999999999_1", "application_1_"} {
		_, err := ParseApplicationID(s)
		refused("application", s, err)
	}
	for _, s := range []string{"", "appattempt_1_2", "application_1_2", "appattempt_1_2_2147483648"} {
		_, err := ParseAttemptID(s)
		refused("attempt", s, err)
	}
	for _, s := range []string{"", "container_1_2_3", "container_e_1_2_3_4", "container_e8388608_1_2_3_4", "container_1_2_3_1099511627776", "container_ex_1_2_3_4"} {
		_, err := ParseContainerID(s)
		refused("container", s, err)
	}
	for _, s := range []string{"", "host", ":1", "host:", "host:65536", "host:-1", "::1:80"} {
		_, err := ParseNodeID(s)
		refused("node", s, err)
	}
}

func TestCompareFollowsYARN(t *testing.T) {
	ascending := []string{
		"container_1_0001_01_000002", "container_1_0001_01_000010", "container_e01_1_0001_01_000001",
		"container_1_0001_02_000001", "container_1_0002_01_000001", "container_1_10000_01_000001", "container_2_0001_01_000001",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			x, errX := ParseContainerID(a)
			y, errY := ParseContainerID(b)
			if errX != nil || errY != nil {
				t.Fatal(errX, errY)
			}
			if got, want := x.Compare(y), sign(i-j); got != want {
				t.Errorf("%s against %s: got %d, want %d", a, b, got, want)
			}
		}
	}
	if got := (NodeID{"a", 2}).Compare(NodeID{"b", 1}); got != -1 {
		t.Errorf("nodes: got %d, want -1", got)
	}
}

func sign(i int) int { return min(1, max(-1, i)) }

func TestWireRoundTrip(t *testing.T) {
	c := ContainerID{AttemptID{ApplicationID{1410901177871, 7}, 2}, 3<<40 | 9}
	n := NodeID{"nm1", 45454}
	if got := FromContainer(c.Proto()); got != c {
		t.Errorf("container: got %+v, want %+v", got, c)
	}
	if got := FromNode(n.Proto()); got != n {
		t.Errorf("node: got %+v, want %+v", got, n)
	}
	if !FromContainer(nil).IsZero() || !FromNode(nil).IsZero() || !FromApplication(nil).IsZero() || !FromAttempt(nil).IsZero() {
		t.Error("nil on the wire: got an id, want the zero id")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("container_e17_1410901177871_0001_01_000005")
	f.Add("application_1_1")
	f.Add("appattempt_1_1_1")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseContainerID(s); err == nil {
			if again, err := ParseContainerID(id.String()); err != nil || again != id {
				t.Errorf("container %q: got %v, %v after a round trip, want %v", s, again, err, id)
			}
		}
		if id, err := ParseAttemptID(s); err == nil {
			if again, err := ParseAttemptID(id.String()); err != nil || again != id {
				t.Errorf("attempt %q: got %v, %v after a round trip, want %v", s, again, err, id)
			}
		}
	})
}
