package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Origin says where a value came from, for messages: "/etc/flott/config.yaml:12", "-D", "the launch file".
type Origin string

// OriginDynamic marks a dynamic property (-Dkey=value).
const OriginDynamic Origin = "-D"

// Config is an immutable set of settings; keys that are not in it have their option's default. The zero Config, and a nil one, hold
// only defaults.
type Config struct {
	entries map[string]entry // by present key
	parsed  map[string]any   // by the key of an option that is set: its value
}

type entry struct {
	raw    string
	origin Origin
}

func (c *Config) parsedValue(key string) (any, bool) {
	if c == nil {
		return nil, false
	}
	v, ok := c.parsed[key]
	return v, ok
}

func (c *Config) all() iter.Seq2[string, entry] {
	if c == nil {
		return func(func(string, entry) bool) {}
	}
	return maps.All(c.entries)
}

// With returns a copy of c in which the settings stand, as if they came from origin; later ones win. A key that nothing knows is an
// error that names the nearest known one, and so is a value that its option refuses.
func (c *Config) With(origin Origin, settings ...Setting) (*Config, []Warning, error) {
	layer := make([]assignment, len(settings))
	for i, s := range settings {
		layer[i] = assignment{Setting: s, origin: origin}
	}
	b := newBuilder(c)
	b.add(layer, true)
	return b.build()
}

// Entry is one setting as it may be shown.
type Entry struct {
	Key    string
	Value  string // masked when the key holds a secret
	Origin Origin
}

// Entries lists what is set, sorted by key, secrets masked: what REST and `flott` show.
func (c *Config) Entries() []Entry {
	var out []Entry
	for key, e := range c.all() {
		out = append(out, Entry{Key: key, Value: maskValue(key, e.raw), Origin: e.origin})
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Origin returns where the value of key was set, or "default".
func (c *Config) Origin(key string) Origin {
	if c != nil {
		if e, ok := c.entries[key]; ok {
			return e.origin
		}
	}
	return "default"
}

// String lists the settings with secrets masked, one to a line.
func (c *Config) String() string {
	var b strings.Builder
	for _, e := range c.Entries() {
		fmt.Fprintf(&b, "%s: %s\n", e.Key, e.Value)
	}
	return b.String()
}

// GoString is String: %#v must not show secrets either.
func (c *Config) GoString() string { return c.String() }

// HadoopOverrides returns what the settings say about Hadoop's own configuration: flink.hadoop.<k> sets k, flink.yarn.<k> sets
// yarn.<k>.
func (c *Config) HadoopOverrides() map[string]string {
	out := FlinkHadoop.Get(c)
	for name, value := range FlinkYarn.Get(c) {
		out["yarn."+name] = value
	}
	return out
}

// maxEncoded bounds Decode: a configuration is a few kilobytes.
const maxEncoded = 4 << 20

type encodedEntry struct {
	Key    string `json:"k"`
	Value  string `json:"v"`
	Origin Origin `json:"o"`
}

// Encode writes what is set, for the launch file: the same settings give the same bytes. Secrets are in it in the clear; the file
// that holds it must be readable by its owner only.
func (c *Config) Encode() ([]byte, error) {
	entries := []encodedEntry{}
	for key, e := range c.all() {
		entries = append(entries, encodedEntry{key, e.raw, e.origin})
	}
	slices.SortFunc(entries, func(a, b encodedEntry) int { return strings.Compare(a.Key, b.Key) })
	data, err := json.Marshal(entries)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	return data, nil
}

// Decode reads what Encode wrote. It checks every value again, for the reader may be another version of flott.
func Decode(data []byte) (*Config, error) {
	if len(data) > maxEncoded {
		return nil, fmt.Errorf("decode configuration: %d bytes are more than %d", len(data), maxEncoded)
	}
	var entries []encodedEntry
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, fmt.Errorf("decode configuration: %w", err)
	}
	layer := make([]assignment, len(entries))
	for i, e := range entries {
		layer[i] = assignment{Setting: Setting{e.Key, e.Value}, origin: e.Origin}
	}
	b := newBuilder(nil)
	b.add(layer, false)
	c, _, err := b.build()
	if err != nil {
		return nil, fmt.Errorf("decode configuration: %w", err)
	}
	return c, nil
}

// assignment is a setting on its way into a Config.
type assignment struct {
	Setting
	origin Origin
}

// builder lays layers of assignments over each other and parses the result.
type builder struct {
	entries  map[string]entry
	warnings []Warning
	errs     []error
	ignored  map[string][]string // row of the ignored table → keys that were set
}

func newBuilder(base *Config) *builder {
	b := &builder{entries: map[string]entry{}, ignored: map[string][]string{}}
	for key, e := range base.all() {
		b.entries[key] = e
	}
	return b
}

// add lays one layer over what is there. strict refuses unknown keys; otherwise they are kept with a warning.
func (b *builder) add(layer []assignment, strict bool) {
	present := map[string]bool{} // keys that this layer sets under their present name
	for _, a := range layer {
		present[a.Key] = true
	}
	for _, a := range layer {
		k := lookupKey(a.Key)
		switch k.kind {
		case keyUnknown:
			if strict {
				b.errs = append(b.errs, fmt.Errorf("%s: unknown key %s%s", a.origin, a.Key, didYouMean(a.Key)))
				continue
			}
			b.warn(a, "unknown key"+didYouMean(a.Key))
		case keyDeprecated:
			if present[k.key] {
				b.warn(a, "deprecated and ignored, because "+k.key+" is set too")
				continue
			}
			b.warn(a, "deprecated: use "+k.key)
		case keyIgnored:
			if row := ignoredKeys[k.row]; row.reason != "" {
				b.ignored[row.pattern] = append(b.ignored[row.pattern], a.Key)
			}
		}
		b.set(k.key, entry{raw: a.Value, origin: a.origin})
	}
}

func (b *builder) set(key string, e entry) {
	if o, ok := optionsByKey[key]; ok && o.isMap() { // a whole map replaces what lower layers said piece by piece
		maps.DeleteFunc(b.entries, func(k string, _ entry) bool { return strings.HasPrefix(k, key+".") })
	}
	b.entries[key] = e
}

func (b *builder) warn(a assignment, text string) {
	b.warnings = append(b.warnings, Warning{Origin: a.origin, Key: a.Key, Text: text})
}

func (b *builder) build() (*Config, []Warning, error) {
	c := &Config{entries: b.entries, parsed: map[string]any{}}
	for _, o := range allOptions {
		b.parse(c, o)
	}
	if len(b.errs) == 0 {
		for _, check := range crossChecks {
			if err := check(c); err != nil {
				b.errs = append(b.errs, err)
			}
		}
	}
	for _, row := range ignoredKeys {
		if keys := b.ignored[row.pattern]; len(keys) > 0 {
			slices.Sort(keys)
			b.warnings = append(b.warnings, Warning{
				Key: strings.Join(slices.Compact(keys), ", "), Origin: b.entries[keys[0]].origin, Text: row.reason,
			})
		}
	}
	if len(b.errs) > 0 {
		return nil, b.warnings, errors.Join(b.errs...)
	}
	return c, b.warnings, nil
}

// parse puts the value of o, if something sets it, into c.
func (b *builder) parse(c *Config, o described) {
	d := o.describe()
	key := d.Key
	e, ok := c.entries[key]
	if !ok && d.Fallback != "" {
		key = d.Fallback
		e, ok = c.entries[key]
	}
	v, err := any(nil), error(nil)
	if ok {
		v, err = o.parseAny(e.raw)
	}
	if err != nil {
		if isSecret(key) {
			err = errors.New("the value is not of the right form")
		}
		b.errs = append(b.errs, fmt.Errorf("%s: %s: %w", e.origin, key, err))
		return
	}
	if o.isMap() {
		v, ok = withPieces(c, d.Key, v)
	}
	if !ok {
		return
	}
	c.parsed[d.Key] = v
	if d.Planned && key == d.Key && !strings.EqualFold(e.raw, d.Default) {
		b.warnings = append(b.warnings, Warning{Key: key, Origin: e.origin, Text: "has no effect in this version"})
	}
}

// withPieces adds the entries key.<name> to the map that was set as a whole.
func withPieces(c *Config, key string, whole any) (any, bool) {
	out, _ := whole.(map[string]string)
	set := out != nil
	if out == nil {
		out = map[string]string{}
	}
	for k, e := range c.entries {
		if name, ok := cutPrefixName(k, key+"."); ok {
			out[name] = e.raw
			set = true
		}
	}
	return out, set
}

// crossChecks look at several options together, after each one alone is in order.
var crossChecks = []func(*Config) error{
	func(c *Config) error {
		interval, timeout := HeartbeatInterval.Get(c), HeartbeatTimeout.Get(c)
		if timeout <= interval {
			return fmt.Errorf("%s (%s) must be longer than %s (%s)", HeartbeatTimeout.Key, FormatDuration(timeout),
				HeartbeatInterval.Key, FormatDuration(interval))
		}
		return nil
	},
}
