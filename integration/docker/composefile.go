package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// service is a container of a compose file.
type service struct {
	name, image, hostname string
	command               []string
	environment           map[string]string
	ports, dependsOn      []string
}

// readCompose reads the part of the compose format that compose.yaml uses, and refuses every other key by its name. Services come in an
// order in which each follows those that it depends on.
func readCompose(data []byte, lookup func(string) (string, bool)) ([]service, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if err := interpolate(&doc, lookup); err != nil {
		return nil, err
	}
	var top map[string]yaml.Node
	if err := doc.Decode(&top); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(top)) {
		if key != "services" && !strings.HasPrefix(key, "x-") {
			return nil, unsupported(key)
		}
	}
	var described map[string]yaml.Node
	node := top["services"]
	if err := node.Decode(&described); err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	services := map[string]service{}
	for _, name := range slices.Sorted(maps.Keys(described)) {
		node := described[name]
		s, err := readService(name, &node)
		if err != nil {
			return nil, err
		}
		services[name] = s
	}
	return startOrder(services)
}

func unsupported(key string) error {
	return fmt.Errorf("%s: the runner on plain docker does not know this key", key)
}

func readService(name string, node *yaml.Node) (service, error) {
	s := service{name: name}
	var fields map[string]yaml.Node
	if err := node.Decode(&fields); err != nil {
		return s, fmt.Errorf("services.%s: %w", name, err)
	}
	into := map[string]any{"image": &s.image, "hostname": &s.hostname, "command": &s.command, "environment": &s.environment, "ports": &s.ports,
		"depends_on": &s.dependsOn}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		field := fields[key]
		where := "services." + name + "." + key
		target, known := into[key]
		if !known {
			return s, unsupported(where)
		}
		if err := field.Decode(target); err != nil {
			return s, fmt.Errorf("%s: %w", where, err)
		}
	}
	if s.image == "" {
		return s, fmt.Errorf("services.%s has no image", name)
	}
	return s, nil
}

// startOrder sorts by dependency, then by name.
func startOrder(services map[string]service) ([]service, error) {
	var order []service
	started := map[string]bool{}
	for len(order) < len(services) {
		before := len(order)
		for _, name := range slices.Sorted(maps.Keys(services)) {
			s := services[name]
			if started[name] || slices.ContainsFunc(s.dependsOn, func(d string) bool { return !started[d] }) {
				continue
			}
			started[name] = true
			order = append(order, s)
		}
		if len(order) == before {
			return nil, errors.New("services depend on each other in a circle, or on one that is not there")
		}
	}
	return order, nil
}

// interpolate replaces variables in all values.
func interpolate(n *yaml.Node, lookup func(string) (string, bool)) error {
	if n.Kind == yaml.ScalarNode {
		value, err := expand(n.Value, lookup)
		if err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		n.Value = value
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue // a key
		}
		if err := interpolate(child, lookup); err != nil {
			return err
		}
	}
	return nil
}

// variable is a dollar sign and what may follow it: another one, or {NAME}, {NAME-default}, {NAME:-default}.
var variable = regexp.MustCompile(`\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?-)([^}$]*))?\})?`)

func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var bad error
	out := variable.ReplaceAllStringFunc(text, func(found string) string {
		m := variable.FindStringSubmatch(found)
		escaped, name, operator, preset := m[1], m[2], m[3], m[4]
		switch {
		case escaped != "":
			return "$"
		case name == "":
			bad = fmt.Errorf("%q: the runner on plain docker knows ${NAME}, ${NAME-default}, ${NAME:-default} and $$ only", text)
			return ""
		}
		value, set := lookup(name)
		if !set || operator == ":-" && value == "" {
			return preset
		}
		return value
	})
	return out, bad
}
