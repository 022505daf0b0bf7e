package conf

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// valueType says how values of T are written.
type valueType[T any] struct {
	name   string
	parse  func(string) (T, error)
	format func(T) string
	clone  func(T) T // nil: values of T cannot be changed
}

func (t valueType[T]) copyOf(v T) T {
	if t.clone == nil {
		return v
	}
	return t.clone(v)
}

var stringType = valueType[string]{
	name:   "string",
	parse:  func(s string) (string, error) { return s, nil },
	format: func(s string) string { return s },
}

var boolType = valueType[bool]{name: "boolean", parse: parseBool, format: strconv.FormatBool}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

var intType = valueType[int]{name: "integer", parse: parseInt, format: strconv.Itoa}

// parseInt takes 32 bits, as Flink's integer options do, so that a value fits wherever it travels.
func parseInt(s string) (int, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no integer of 32 bits", s)
	}
	return int(n), nil
}

var int64Type = valueType[int64]{
	name: "long",
	parse: func(s string) (int64, error) {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no integer of 64 bits", s)
		}
		return n, nil
	},
	format: func(n int64) string { return strconv.FormatInt(n, 10) },
}

var floatType = valueType[float64]{
	name: "number",
	parse: func(s string) (float64, error) {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return 0, fmt.Errorf("%q is no number", s)
		}
		return f, nil
	},
	format: func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) },
}

var durationType = valueType[time.Duration]{name: "duration", parse: ParseDuration, format: FormatDuration}

// secondsType is for the few keys whose bare number counts seconds; a number with a unit is taken too.
var secondsType = valueType[time.Duration]{
	name:   "duration (a bare number counts seconds)",
	parse:  func(s string) (time.Duration, error) { return parseDuration(s, time.Second) },
	format: FormatDuration,
}

var memoryType = valueType[MemorySize]{name: "memory size", parse: ParseMemorySize, format: MemorySize.String}

var listType = valueType[[]string]{
	name:   "list, separated by ;",
	parse:  func(s string) ([]string, error) { return parseList(s, ";") },
	format: func(l []string) string { return formatList(l, ';') },
	clone:  slices.Clone[[]string],
}

// commaListType is for the keys that Flink defines as a string with commas.
var commaListType = valueType[[]string]{
	name:   "list, separated by ,",
	parse:  func(s string) ([]string, error) { return parseList(s, ",") },
	format: func(l []string) string { return formatList(l, ',') },
	clone:  slices.Clone[[]string],
}

// pathListType is for lists of local directories: Flink splits them at any of the three signs.
var pathListType = valueType[[]string]{
	name:   "list of directories, separated by , : or |",
	parse:  func(s string) ([]string, error) { return parseList(s, ",:|") },
	format: func(l []string) string { return formatList(l, ',') },
	clone:  slices.Clone[[]string],
}

var mapType = valueType[map[string]string]{
	name:   "map (k1:v1,k2:v2)",
	parse:  parseMap,
	format: formatMap,
	clone:  maps.Clone[map[string]string],
}

var portsType = valueType[PortRange]{name: "port, list or range of ports", parse: ParsePortRange, format: PortRange.String}

// enumType takes one of the given values, whatever its case; - and _ are the same.
func enumType[T ~string](values ...T) valueType[T] {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return valueType[T]{
		name: "one of " + strings.Join(names, ", "),
		parse: func(s string) (T, error) {
			for _, v := range values {
				if enumName(string(v)) == enumName(s) {
					return v, nil
				}
			}
			return "", fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
		},
		format: func(v T) string { return string(v) },
	}
}

func enumName(s string) string {
	return strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(s)), "-", "_")
}

// between refuses values outside [low, high].
func between[T int | int64 | float64 | time.Duration | MemorySize](low, high T) func(T) error {
	return func(v T) error {
		if v < low || v > high {
			return fmt.Errorf("%v is not between %v and %v", v, low, high)
		}
		return nil
	}
}

// atLeast refuses values below low.
func atLeast[T int | int64 | float64 | time.Duration | MemorySize](low T) func(T) error {
	return func(v T) error {
		if v < low {
			return fmt.Errorf("%v is less than %v", v, low)
		}
		return nil
	}
}

// oneOrUnset takes -1 (not set) and everything from 1 up.
func oneOrUnset(v int) error {
	if v != -1 && v < 1 {
		return fmt.Errorf("%d is neither -1 nor at least 1", v)
	}
	return nil
}

// port refuses what is no TCP port; 0 lets the system choose.
func port(v int) error { return between(0, 65535)(v) }

// fraction refuses what is no share of a whole. The whole itself is refused: nothing would remain for the other parts.
func fraction(v float64) error {
	if v < 0 || v >= 1 {
		return fmt.Errorf("%v is no fraction (0 or more, less than 1)", v)
	}
	return nil
}
