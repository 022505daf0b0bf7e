package hadoopconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is an immutable set of Hadoop properties. The zero Config, and a nil one, are empty.
type Config struct {
	values map[string]property
	dirs   []string // that were searched
}

type property struct {
	value  string
	source string // file, or where an override came from
}

// New returns a Config of the given properties, as they are; for tests and for what needs no files.
func New(values map[string]string) *Config {
	c := &Config{values: map[string]property{}}
	for k, v := range values {
		c.values[k] = property{value: strings.TrimSpace(v), source: "program"}
	}
	return c
}

// Lookup returns the value of key and whether it is set to anything but the empty text.
func (c *Config) Lookup(key string) (string, bool) {
	if c == nil {
		return "", false
	}
	v := c.values[key].value
	return v, v != ""
}

// Get returns the value of key, or def.
func (c *Config) Get(key, def string) string {
	if v, ok := c.Lookup(key); ok {
		return v
	}
	return def
}

// Int returns the integer of key, or def. It may be written in hexadecimal (0x…).
func (c *Config) Int(key string, def int) (int, error) {
	v, ok := c.Lookup(key)
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		n, err = parseHex(v)
	}
	if err != nil {
		return 0, c.wrong(key, "is no integer")
	}
	return int(n), nil
}

func parseHex(v string) (int64, error) {
	digits := strings.TrimPrefix(v, "-")
	if !strings.HasPrefix(strings.ToLower(digits), "0x") {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(digits[2:], 16, 64)
	if len(digits) < len(v) {
		n = -n
	}
	return n, err
}

// Float returns the number of key, or def.
func (c *Config) Float(key string, def float64) (float64, error) {
	v, ok := c.Lookup(key)
	if !ok {
		return def, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, c.wrong(key, "is no number")
	}
	return f, nil
}

// Bool returns the truth value of key, or def.
func (c *Config) Bool(key string, def bool) (bool, error) {
	v, ok := c.Lookup(key)
	if !ok {
		return def, nil
	}
	switch strings.ToLower(v) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, c.wrong(key, "is neither true nor false")
}

// durationUnits are Hadoop's, longest name first where one ends with another.
var durationUnits = []struct {
	suffix string
	unit   time.Duration
}{
	{"ns", time.Nanosecond}, {"us", time.Microsecond}, {"ms", time.Millisecond}, {"s", time.Second},
	{"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
}

// Duration returns the time of key, or def. A bare number counts in the given unit; "10s", "500ms", "2m", "1h", "1d" name theirs.
// Values below zero (Hadoop writes -1 for "for ever") are returned as they are.
func (c *Config) Duration(key string, def, bare time.Duration) (time.Duration, error) {
	v, ok := c.Lookup(key)
	if !ok {
		return def, nil
	}
	number, unit := strings.ToLower(v), bare
	for _, u := range durationUnits {
		if n, found := strings.CutSuffix(number, u.suffix); found {
			number, unit = strings.TrimSpace(n), u.unit
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, c.wrong(key, "is no time (a whole number, then ns, us, ms, s, m, h or d)")
	}
	if limit := math.MaxInt64 / int64(unit); n > limit || n < -limit {
		return 0, c.wrong(key, "is longer than 292 years")
	}
	return time.Duration(n) * unit, nil
}

// Size returns the bytes of key, or def. k, m, g, t, p and e stand for powers of 1024.
func (c *Config) Size(key string, def int64) (int64, error) {
	v, ok := c.Lookup(key)
	if !ok {
		return def, nil
	}
	number, shift := v, 0
	if i := strings.IndexByte("kmgtpe", v[len(v)-1]|0x20); i >= 0 {
		number, shift = v[:len(v)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n > math.MaxInt64>>shift || n < math.MinInt64>>shift {
		return 0, c.wrong(key, "is no size (a whole number, then k, m, g, t, p or e)")
	}
	return n << shift, nil
}

// List returns the elements of key, which commas separate, trimmed and without empty ones; nil when it is not set.
func (c *Config) List(key string) []string {
	v, _ := c.Lookup(key)
	var out []string
	for e := range strings.SplitSeq(v, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return out
}

// wrong names the key and its file, but not the value, which may be a secret.
func (c *Config) wrong(key, what string) error {
	return fmt.Errorf("%s: %s %s", c.values[key].source, key, what)
}

// String says how many properties there are; their values may be secrets.
func (c *Config) String() string {
	if c == nil {
		return "hadoopconf(empty)"
	}
	return fmt.Sprintf("hadoopconf(%d properties)", len(c.values))
}

// GoString is String: %#v must not show secrets either.
func (c *Config) GoString() string { return c.String() }

// ErrNotConfigured is under the error of RequireYARN when nothing says where the cluster is.
var ErrNotConfigured = errors.New("no Hadoop configuration")

// RequireYARN returns nil when c says where the ResourceManager is, else an error that tells a person what to set.
func (c *Config) RequireYARN() error {
	for _, key := range []string{rmAddress, rmHostname, rmHAIDs} {
		if _, ok := c.Lookup(key); ok {
			return nil
		}
	}
	if c == nil || len(c.dirs) == 0 {
		return fmt.Errorf("%w: set HADOOP_CONF_DIR (or YARN_CONF_DIR) to the directory that holds core-site.xml and yarn-site.xml", ErrNotConfigured)
	}
	return fmt.Errorf("%w for YARN: no yarn-site.xml in %s sets %s or %s; does HADOOP_CONF_DIR name the right directory?",
		ErrNotConfigured, strings.Join(c.dirs, " or "), rmHostname, rmAddress)
}

// maxEncoded bounds what Encode writes and Decode reads.
const maxEncoded = 16 << 20

// Encode writes the properties, for the launch file: the same properties give the same bytes. Only what is set is in it, with its
// variables replaced by what they meant on this machine. It may hold secrets in the clear.
func (c *Config) Encode() ([]byte, error) {
	out := map[string]string{} // encoding/json writes maps sorted by key
	if c != nil {
		for k, p := range c.values {
			out[k] = p.value
		}
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode Hadoop configuration: %w", err)
	}
	if len(data) > maxEncoded {
		return nil, fmt.Errorf("encode Hadoop configuration: %d bytes are more than %d", len(data), maxEncoded)
	}
	return data, nil
}

// Decode reads what Encode wrote.
func Decode(data []byte) (*Config, error) {
	if len(data) > maxEncoded {
		return nil, fmt.Errorf("decode Hadoop configuration: %d bytes are more than %d", len(data), maxEncoded)
	}
	var values map[string]string
	if err := json.Unmarshal(data, &values); err != nil {
		return nil, fmt.Errorf("decode Hadoop configuration: %w", err)
	}
	c := New(values)
	for k, p := range c.values {
		p.source = "launch file"
		c.values[k] = p
	}
	return c, nil
}

// Keys returns the names of all properties, sorted.
func (c *Config) Keys() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.values))
}
