package conf

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want time.Duration
	}{
		{"0", 0}, {"1500", 1500 * time.Millisecond}, {"10 s", 10 * time.Second}, {"10s", 10 * time.Second}, {" 10  S ", 10 * time.Second},
		{"1 d", 24 * time.Hour}, {"2 days", 48 * time.Hour}, {"3h", 3 * time.Hour}, {"3 hours", 3 * time.Hour}, {"4 m", 4 * time.Minute},
		{"4min", 4 * time.Minute}, {"4 minutes", 4 * time.Minute}, {"5 sec", 5 * time.Second}, {"6ms", 6 * time.Millisecond},
		{"6 milli", 6 * time.Millisecond}, {"7 µs", 7 * time.Microsecond}, {"7 micros", 7 * time.Microsecond}, {"8ns", 8}, {"8 nano", 8},
		{"9223372036854775807ns", 1<<63 - 1},
	} {
		got, err := ParseDuration(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
		if back, err := ParseDuration(FormatDuration(tt.want)); err != nil || back != tt.want {
			t.Errorf("FormatDuration(%v) = %q does not read back: %v, %v", tt.want, FormatDuration(tt.want), back, err)
		}
	}
	for _, in := range []string{"", "s", "-1", "-1 s", "1.5 s", "1 fortnight", "1m30s", "9223372036854775808ns", "200000 d x", "106752 d", "١ s"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, got)
		}
	}
	if got, err := secondsType.parse("5"); err != nil || got != 5*time.Second {
		t.Errorf("a bare number of seconds: %v, %v", got, err)
	}
	if got, err := secondsType.parse("500ms"); err != nil || got != 500*time.Millisecond {
		t.Errorf("a unit where a bare number counts seconds: %v, %v", got, err)
	}
}

func TestParseMemorySize(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want MemorySize
	}{
		{"0", 0}, {"1024", KiB}, {"1728m", 1728 * MiB}, {"1728 MB", 1728 * MiB}, {"2g", 2 * GiB}, {"2 gibibytes", 2 * GiB}, {"3 t", 3 * TiB},
		{"5kb", 5 * KiB}, {"7 bytes", 7}, {"7b", 7}, {"9223372036854775807b", MaxMemory},
	} {
		got, err := ParseMemorySize(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseMemorySize(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
		if back, err := ParseMemorySize(tt.want.String()); err != nil || back != tt.want {
			t.Errorf("%d: String %q does not read back: %v, %v", tt.want, tt.want, back, err)
		}
	}
	for _, in := range []string{"", "m", "-1m", "1.5g", "1 p", "9223372036854775808", "8796093022208m", "1g1"} {
		if got, err := ParseMemorySize(in); err == nil {
			t.Errorf("ParseMemorySize(%q) = %v, want an error", in, got)
		}
	}
	if got := (MiB + 1).MiB(); got != 2 {
		t.Errorf("(1m + 1b).MiB() = %d, want 2: sizes for YARN are rounded up", got)
	}
}

func TestPortRange(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []int
	}{
		{"0", []int{0}}, {"8081", []int{8081}}, {" 50100 - 50102 , 6000", []int{50100, 50101, 50102, 6000}}, {"65535", []int{65535}},
	} {
		p, err := ParsePortRange(tt.in)
		if got := slices.Collect(p.All()); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("ParsePortRange(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
		if again, err := ParsePortRange(p.String()); err != nil || again != p {
			t.Errorf("%q does not read back: %v, %v", p, again, err)
		}
	}
	for _, in := range []string{"", "a", "-1", "65536", "2-1", "0-5", "1,,2", "1-2-3", "1-"} {
		if p, err := ParsePortRange(in); err == nil {
			t.Errorf("ParsePortRange(%q) = %v, want an error", in, p)
		}
	}
	for range (PortRange{}).All() {
		t.Error("the zero range has a port")
	}
	for p := range mustPorts(t, "1-60000").All() { // stops when the caller does
		if p == 3 {
			break
		}
		if p > 3 {
			t.Fatal("went on")
		}
	}
}

func mustPorts(t *testing.T, s string) PortRange {
	t.Helper()
	p, err := ParsePortRange(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOtherTypes(t *testing.T) {
	for in, want := range map[string]bool{"true": true, " TRUE": true, "False": false} {
		if got, err := parseBool(in); err != nil || got != want {
			t.Errorf("parseBool(%q) = %v, %v", in, got, err)
		}
	}
	mode := enumType(ModeAutomatic, ModeStreaming)
	if got, err := mode.parse(" streaming "); err != nil || got != ModeStreaming {
		t.Errorf("enum in lower case: %v, %v", got, err)
	}
	for name, err := range map[string]error{
		"bool": second(parseBool("yes")), "int": second(parseInt("010x")), "int of 33 bits": second(parseInt("4294967296")),
		"long": second(int64Type.parse("1e3")), "NaN": second(floatType.parse("NaN")), "enum": second(mode.parse("BATCH")),
	} {
		if err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1", "10 s", "9223372036854775807ns", "1 µs", "-1", "99999999999999999999 d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("ParseDuration(%q) = %d, below zero", s, d)
		}
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Fatalf("%q → %d → %q → %d, %v", s, d, FormatDuration(d), back, err)
		}
	})
}

func FuzzParseMemorySize(f *testing.F) {
	for _, s := range []string{"1", "1728m", "8 t", "9223372036854775807", "9007199254740992k", " 3 GB "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMemorySize(s)
		if err != nil {
			return
		}
		if m < 0 {
			t.Fatalf("ParseMemorySize(%q) = %d, below zero", s, int64(m))
		}
		if back, err := ParseMemorySize(m.String()); err != nil || back != m {
			t.Fatalf("%q → %d → %q → %d, %v", s, int64(m), m, int64(back), err)
		}
	})
}

func FuzzParsePortRange(f *testing.F) {
	for _, s := range []string{"0", "50100-50200,6000", "1-65535", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePortRange(s)
		if err != nil || strings.Count(s, ",") > 8 {
			return
		}
		for port := range p.All() {
			if port < 0 || port > 65535 {
				t.Fatalf("ParsePortRange(%q) yields %d", s, port)
			}
		}
	})
}
