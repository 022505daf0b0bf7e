package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds the nesting of a YAML file.
const maxDepth = 32

// parseYAML reads config.yaml: nested or dotted keys, flattened with dots. Values keep the text they have in the file (so that 010,
// 1_000 and dates stay what they look like); lists become a flow sequence. A duplicate key, whichever way it is written, is an error.
func parseYAML(path string, data []byte) ([]assignment, []Warning, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, syntaxError(path, data, err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, nil, fmt.Errorf("%s:%d: a second YAML document", path, second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, nil, syntaxError(path, data, err)
	}
	f := flattener{path: path, seen: map[string]int{}}
	if err := f.document(&doc); err != nil {
		return nil, nil, err
	}
	return f.out, f.warnings, nil
}

type flattener struct {
	path     string
	seen     map[string]int // key → line
	out      []assignment
	warnings []Warning
}

func (f *flattener) origin(n *yaml.Node) Origin { return Origin(fmt.Sprintf("%s:%d", f.path, n.Line)) }

func (f *flattener) document(doc *yaml.Node) error {
	root := doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: the file must hold \"key: value\" pairs", f.origin(root))
	}
	return f.mapping("", root, 0)
}

func (f *flattener) mapping(prefix string, n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: nested deeper than %d levels", f.origin(n), maxDepth)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Value == "" || k.Tag == "!!merge" {
			return fmt.Errorf("%s: a key must be a plain word", f.origin(k))
		}
		if err := f.value(prefix+k.Value, k, v, depth); err != nil {
			return err
		}
	}
	return nil
}

func (f *flattener) value(key string, k, v *yaml.Node, depth int) error {
	if v.Kind == yaml.MappingNode && len(v.Content) > 0 {
		return f.mapping(key+".", v, depth+1)
	}
	if line, again := f.seen[key]; again {
		return fmt.Errorf("%s: duplicate key %s, set before in line %d", f.origin(k), key, line)
	}
	f.seen[key] = k.Line
	switch {
	case hasAlias(v, depth):
		return fmt.Errorf("%s: %s: aliases (*name) and nesting deeper than %d levels are not supported", f.origin(v), key, maxDepth)
	case v.Kind == yaml.ScalarNode && v.Tag == "!!null":
		f.warnings = append(f.warnings, Warning{Origin: f.origin(k), Key: key, Text: "has no value; the line is ignored"})
		return nil
	}
	f.out = append(f.out, assignment{Setting: Setting{key, flowText(v)}, origin: f.origin(k)})
	return nil
}

// hasAlias refuses aliases, which could make a small file huge, and bounds the depth of what flowText walks.
func hasAlias(n *yaml.Node, depth int) bool {
	if n.Kind == yaml.AliasNode || depth > maxDepth {
		return true
	}
	for _, c := range n.Content {
		if hasAlias(c, depth+1) {
			return true
		}
	}
	return false
}

// flowText writes a node on one line: a scalar as it stands in the file, a sequence as ['a', 'b'], a mapping as {'k': 'v'}.
func flowText(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		parts := make([]string, len(n.Content))
		for i, c := range n.Content {
			parts[i] = flowElement(c)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		parts := make([]string, 0, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, flowElement(n.Content[i])+": "+flowElement(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return n.Value
}

func flowElement(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return quoteYAML(n.Value)
	}
	return flowText(n)
}

// quoteYAML writes a double-quoted YAML scalar when s has signs that single quotes cannot carry on one line.
func quoteYAML(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r == 0x7f || r == 0x85 || r == '\u2028' || r == '\u2029' || r == '\ufeff'
	}) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f || r == 0x85 || r == '\u2028' || r == '\u2029' || r == '\ufeff':
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// flowNode parses s when it is a YAML flow collection ([…] or {…}) of the wanted kind without aliases.
func flowNode(s string, kind yaml.Kind) (*yaml.Node, bool) {
	s = strings.TrimSpace(s)
	open, shut := "[", "]"
	if kind == yaml.MappingNode {
		open, shut = "{", "}"
	}
	if !strings.HasPrefix(s, open) || !strings.HasSuffix(s, shut) {
		return nil, false
	}
	var doc yaml.Node
	if yaml.Unmarshal([]byte(s), &doc) != nil || len(doc.Content) != 1 {
		return nil, false
	}
	node := doc.Content[0]
	return node, node.Kind == kind && !hasAlias(node, 0)
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntaxError names the line where the file stops being YAML. The library names the start of the enclosing block, so the line is
// found by trying: it is the one after the longest beginning of the file that parses.
func syntaxError(path string, data []byte, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	lines := bytes.SplitAfter(data, []byte("\n"))
	const triedLines = 2000
	if len(lines) > triedLines || yamlLine.FindString(text) == "" {
		return fmt.Errorf("%s: not valid YAML: %s", path, text)
	}
	text = yamlLine.ReplaceAllString(text, "")
	end := len(data)
	for n := len(lines); n > 0; n-- {
		end -= len(lines[n-1])
		var doc yaml.Node
		if yaml.Unmarshal(data[:end], &doc) == nil {
			return fmt.Errorf("%s:%d: not valid YAML: %s", path, n, text)
		}
	}
	return fmt.Errorf("%s: not valid YAML: %s", path, text)
}
