package conf

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

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
