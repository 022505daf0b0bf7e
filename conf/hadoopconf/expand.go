package hadoopconf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	maxExpansionDepth  = 20       // of variables inside variables, as in Hadoop
	maxExpansionLength = 64 << 10 // bytes of one value
	maxExpandedTotal   = 8 << 20  // bytes of all values
)

var errTooDeep = fmt.Errorf("variables lie deeper than %d in each other", maxExpansionDepth)

// builtin are the defaults of Hadoop that site files refer to without setting them.
var builtin = map[string]string{
	"hadoop.tmp.dir":                "/tmp/hadoop-${user.name}",
	"yarn.resourcemanager.hostname": "0.0.0.0",
	"yarn.nodemanager.hostname":     "0.0.0.0",
}

// expander replaces ${variables}. A value is expanded once and remembered, so the work is linear in what is there.
type expander struct {
	raw    map[string]property
	src    Source
	done   map[string]expanded
	active []string // names on the way to the value that is being expanded
}

type expanded struct {
	text  string
	depth int // of variables inside variables
}

func expandAll(raw map[string]property, src Source) (map[string]property, error) {
	e := expander{raw: raw, src: src, done: map[string]expanded{}}
	out := make(map[string]property, len(raw))
	total := 0
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		p := raw[name]
		v, err := e.property(name, p.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", p.source, name, err)
		}
		if total += len(v.text); total > maxExpandedTotal {
			return nil, fmt.Errorf("all properties together are longer than %d bytes with their variables replaced", maxExpandedTotal)
		}
		out[name] = property{value: strings.TrimSpace(v.text), source: p.source}
	}
	return out, nil
}

func (e *expander) property(name, raw string) (expanded, error) {
	if v, ok := e.done[name]; ok {
		return v, nil
	}
	if slices.Contains(e.active, name) {
		return expanded{}, fmt.Errorf("variables refer to each other in a circle: %s", strings.Join(append(e.active, name), " → "))
	}
	if len(e.active) > maxExpansionDepth {
		return expanded{}, errTooDeep
	}
	e.active = append(e.active, name)
	v, err := e.text(raw)
	e.active = e.active[:len(e.active)-1]
	if err == nil {
		e.done[name] = v
	}
	return v, err
}

// text replaces the variables of s. One that nothing defines stays as it is, as in Hadoop.
func (e *expander) text(s string) (expanded, error) {
	var b strings.Builder
	depth := 0
	for {
		before, name, after, found := cutVariable(s)
		b.WriteString(before)
		if !found {
			break
		}
		v, known, err := e.variable(name)
		if err != nil {
			return expanded{}, err
		}
		if !known {
			v.text = "${" + name + "}"
		}
		depth = max(depth, v.depth+1)
		b.WriteString(v.text)
		if depth > maxExpansionDepth {
			return expanded{}, errTooDeep
		}
		if b.Len()+len(after) > maxExpansionLength {
			return expanded{}, fmt.Errorf("longer than %d bytes with its variables replaced", maxExpansionLength)
		}
		s = after
	}
	return expanded{b.String(), depth}, nil
}

// cutVariable finds the first ${name} in s; a name has no blank, $, { or } in it.
func cutVariable(s string) (before, name, after string, found bool) {
	for from := 0; ; {
		i := strings.Index(s[from:], "${")
		if i < 0 {
			return s, "", "", false
		}
		start := from + i + 2
		end := strings.IndexAny(s[start:], "}${ \t\r\n")
		if end > 0 && s[start+end] == '}' {
			return s[:start-2], s[start : start+end], s[start+end+1:], true
		}
		from = start
	}
}

// variable returns what a name stands for: an environment variable, a system property of Java that makes sense here, or another
// property.
func (e *expander) variable(name string) (v expanded, known bool, err error) {
	if env, ok := strings.CutPrefix(name, "env."); ok {
		text, known := e.environment(env)
		return expanded{text: text}, known, nil
	}
	if text, ok := e.system(name); ok {
		return expanded{text: text}, true, nil
	}
	raw, ok := builtin[name]
	if p, set := e.raw[name]; set {
		raw, ok = p.value, true
	}
	if !ok {
		return expanded{}, false, nil
	}
	v, err = e.property(name, raw)
	return v, true, err
}

// environment reads NAME, NAME-default (when not set) and NAME:-default (when not set or empty; the environment comes as a function
// that does not tell the two apart).
func (e *expander) environment(spec string) (string, bool) {
	name, def, hasDefault := strings.Cut(spec, "-")
	if v := e.src.Getenv(strings.TrimSuffix(name, ":")); v != "" {
		return v, true
	}
	return def, hasDefault
}

// system answers for the system properties of Java that site files use.
func (e *expander) system(name string) (string, bool) {
	switch name {
	case "user.name":
		for _, v := range []string{e.src.User, e.src.Getenv("HADOOP_USER_NAME"), e.src.Getenv("USER")} {
			if v != "" {
				return v, true
			}
		}
	case "user.home":
		home := e.src.Getenv("HOME")
		return home, home != ""
	case "java.io.tmpdir":
		return "/tmp", true
	case "file.separator":
		return "/", true
	case "path.separator":
		return ":", true
	}
	return "", false
}
