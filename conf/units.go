package conf

import (
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a duration as Flink writes it: a whole number with an optional unit (d, h, min or m, s, ms, µs, ns, and
// their long forms); a bare number counts milliseconds.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s, time.Millisecond) }

func parseDuration(s string, bare time.Duration) (time.Duration, error) {
	digits, unitName, err := splitNumber(s, "duration")
	if err != nil {
		return 0, err
	}
	unit := bare
	if unitName != "" {
		var ok bool
		if unit, ok = durationUnit(unitName); !ok {
			return 0, fmt.Errorf("%q is no duration: unit %q is none of d, h, min, s, ms, µs, ns", s, unitName)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is longer than 292 years", s)
	}
	return time.Duration(n) * unit, nil
}

func durationUnit(name string) (time.Duration, bool) {
	switch name {
	case "d", "day", "days":
		return 24 * time.Hour, true
	case "h", "hour", "hours":
		return time.Hour, true
	case "m", "min", "minute", "minutes":
		return time.Minute, true
	case "s", "sec", "secs", "second", "seconds":
		return time.Second, true
	case "ms", "milli", "millis", "millisecond", "milliseconds":
		return time.Millisecond, true
	case "µs", "μs", "micro", "micros", "microsecond", "microseconds":
		return time.Microsecond, true
	case "ns", "nano", "nanos", "nanosecond", "nanoseconds":
		return time.Nanosecond, true
	}
	return 0, false
}

// FormatDuration writes d so that ParseDuration reads it back: a whole number of the largest unit that divides it.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0 ms"
	}
	for _, u := range []struct {
		unit time.Duration
		name string
	}{
		{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"},
		{time.Millisecond, "ms"}, {time.Microsecond, "µs"},
	} {
		if d%u.unit == 0 {
			return fmt.Sprintf("%d %s", d/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%d ns", d)
}

// MemorySize is a number of bytes. It is never negative.
type MemorySize int64

// Units of memory, all powers of 1024 as in Flink.
const (
	Byte MemorySize = 1
	KiB             = 1024 * Byte
	MiB             = 1024 * KiB
	GiB             = 1024 * MiB
	TiB             = 1024 * GiB
	// MaxMemory stands for "no limit".
	MaxMemory MemorySize = math.MaxInt64
)

// ParseMemorySize reads a size as Flink writes it: a whole number with an optional unit (b, k or kb, m or mb, g or gb, t or tb,
// and their long forms, all 1024-based); a bare number counts bytes.
func ParseMemorySize(s string) (MemorySize, error) {
	digits, unitName, err := splitNumber(s, "memory size")
	if err != nil {
		return 0, err
	}
	var unit MemorySize
	switch unitName {
	case "", "b", "byte", "bytes":
		unit = Byte
	case "k", "kb", "kib", "kibibyte", "kibibytes":
		unit = KiB
	case "m", "mb", "mib", "mebibyte", "mebibytes":
		unit = MiB
	case "g", "gb", "gib", "gibibyte", "gibibytes":
		unit = GiB
	case "t", "tb", "tib", "tebibyte", "tebibytes":
		unit = TiB
	default:
		return 0, fmt.Errorf("%q is no memory size: unit %q is none of b, k, m, g, t", s, unitName)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is more memory than 63 bits can count", s)
	}
	return MemorySize(n) * unit, nil
}

// String writes m so that ParseMemorySize reads it back: a whole number of the largest unit that divides it.
func (m MemorySize) String() string {
	if m == MaxMemory {
		return strconv.FormatInt(int64(m), 10) + "b"
	}
	for _, u := range []struct {
		unit MemorySize
		name string
	}{{TiB, "t"}, {GiB, "g"}, {MiB, "m"}, {KiB, "k"}} {
		if m != 0 && m%u.unit == 0 {
			return strconv.FormatInt(int64(m/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(m), 10) + "b"
}

// Bytes returns m as a plain number.
func (m MemorySize) Bytes() int64 { return int64(m) }

// MiB returns m in mebibytes, rounded up: what to ask YARN for.
func (m MemorySize) MiB() int {
	n := m / MiB
	if m%MiB != 0 {
		n++
	}
	return int(n)
}

// splitNumber cuts "12 min" into "12" and "min" (lower case).
func splitNumber(s, what string) (digits, unit string, err error) {
	t := strings.TrimSpace(s)
	i := 0
	for i < len(t) && t[i] >= '0' && t[i] <= '9' {
		i++
	}
	if i == 0 {
		return "", "", fmt.Errorf("%q is no %s: it does not start with a number", s, what)
	}
	return t[:i], strings.ToLower(strings.TrimSpace(t[i:])), nil
}

// PortRange is a port, or a list of ports and ranges, to try in order: "0", "6123", "50100-50200,6000". The zero value has none.
type PortRange struct{ spans string }

// Ports returns a PortRange of one port; 0 lets the system choose.
func Ports(port uint16) PortRange { return PortRange{strconv.Itoa(int(port))} }

// ParsePortRange reads a port, a list or a range.
func ParsePortRange(s string) (PortRange, error) {
	var spans []string
	for part := range strings.SplitSeq(s, ",") {
		from, to, err := parseSpan(part)
		if err != nil {
			return PortRange{}, fmt.Errorf("%q is no port, list or range of ports: %w", s, err)
		}
		if from == to {
			spans = append(spans, strconv.Itoa(from))
		} else {
			spans = append(spans, fmt.Sprintf("%d-%d", from, to))
		}
	}
	return PortRange{strings.Join(spans, ",")}, nil
}

func parseSpan(s string) (from, to int, err error) {
	low, high, ranged := strings.Cut(strings.TrimSpace(s), "-")
	if from, err = parsePort(low); err != nil {
		return 0, 0, err
	}
	if !ranged {
		return from, from, nil
	}
	if to, err = parsePort(high); err != nil {
		return 0, 0, err
	}
	if from > to || from == 0 {
		return 0, 0, fmt.Errorf("range %d-%d is empty or starts at 0", from, to)
	}
	return from, to, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not between 0 and 65535", s)
	}
	return int(n), nil
}

// String writes the ports as ParsePortRange reads them.
func (p PortRange) String() string { return p.spans }

// All yields the ports in order.
func (p PortRange) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		if p.spans == "" {
			return
		}
		for part := range strings.SplitSeq(p.spans, ",") {
			from, to, err := parseSpan(part)
			if err != nil { // cannot be: spans was written by ParsePortRange or Ports
				return
			}
			for n := from; n <= to; n++ {
				if !yield(n) {
					return
				}
			}
		}
	}
}
