package conf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var errOpenQuote = errors.New("a quote is not closed")

// splitQuoted cuts s at any of the separator bytes that stands outside quotes. An element is trimmed; one that begins with ' or "
// runs to the same quote, a doubled quote inside stands for one. Empty unquoted elements are dropped.
func splitQuoted(s, separators string) ([]string, error) {
	var out []string
	for rest := s; ; {
		rest = strings.TrimSpace(rest)
		var elem string
		quoted := rest != "" && (rest[0] == '\'' || rest[0] == '"')
		if quoted {
			var err error
			if elem, rest, err = cutQuoted(rest); err != nil {
				return nil, err
			}
			rest = strings.TrimSpace(rest)
			if rest != "" && !strings.ContainsRune(separators, rune(rest[0])) {
				return nil, fmt.Errorf("text after the closing quote of %q", elem)
			}
		} else {
			i := strings.IndexAny(rest, separators)
			if i < 0 {
				i = len(rest)
			}
			elem, rest = strings.TrimSpace(rest[:i]), rest[i:]
		}
		if quoted || elem != "" {
			out = append(out, elem)
		}
		if rest == "" {
			return out, nil
		}
		rest = rest[1:]
	}
}

// cutQuoted reads the quoted text at the start of s and returns it without quotes, and what follows.
func cutQuoted(s string) (text, rest string, err error) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return b.String(), s[i+1:], nil
	}
	return "", "", errOpenQuote
}

// quoteFor quotes s when it would not survive splitQuoted as it is.
func quoteFor(s, separators string) string {
	if s != "" && s == strings.TrimSpace(s) && !strings.ContainsAny(s, separators+`'"[]{}`) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// parseList reads a YAML flow sequence ([a, b]) or elements between separators.
func parseList(s, separators string) ([]string, error) {
	if node, ok := flowNode(s, yaml.SequenceNode); ok {
		out := make([]string, 0, len(node.Content))
		for _, n := range node.Content {
			out = append(out, flowText(n))
		}
		return out, nil
	}
	return splitQuoted(s, separators)
}

func formatList(l []string, separator byte) string {
	quoted := make([]string, len(l))
	for i, s := range l {
		quoted[i] = quoteFor(s, ",:;|")
	}
	return strings.Join(quoted, string(separator))
}

// parseMap reads a YAML flow mapping ({a: b}) or Flink's k1:v1,k2:v2.
func parseMap(s string) (map[string]string, error) {
	out := map[string]string{}
	if node, ok := flowNode(s, yaml.MappingNode); ok {
		for i := 0; i+1 < len(node.Content); i += 2 {
			out[node.Content[i].Value] = flowText(node.Content[i+1])
		}
		return out, nil
	}
	for rest := strings.TrimSpace(s); rest != ""; {
		pair, after, err := cutPair(rest)
		if err != nil {
			return nil, err
		}
		out[pair.Key] = pair.Value
		rest = strings.TrimSpace(after)
	}
	return out, nil
}

// cutPair reads one k:v from the start of s. Either side, or the whole pair, may be quoted.
func cutPair(s string) (pair Setting, rest string, err error) {
	key, rest, err := cutElement(s, ":,")
	if err != nil {
		return pair, "", err
	}
	if rest == "" || rest[0] != ':' { // the pair as a whole was quoted, or it is none
		inner, after, err := cutElement(key, ":")
		if err != nil || after == "" {
			return pair, "", fmt.Errorf("%q is no key:value", key)
		}
		return Setting{inner, after[1:]}, strings.TrimPrefix(rest, ","), nil
	}
	value, rest, err := cutElement(rest[1:], ",")
	if err != nil {
		return pair, "", err
	}
	return Setting{key, value}, strings.TrimPrefix(rest, ","), nil
}

// cutElement reads text up to one of the separators, which stays at the start of rest.
func cutElement(s, separators string) (text, rest string, err error) {
	s = strings.TrimSpace(s)
	if s != "" && (s[0] == '\'' || s[0] == '"') {
		text, rest, err = cutQuoted(s)
		rest = strings.TrimSpace(rest)
		if err == nil && rest != "" && !strings.ContainsRune(separators, rune(rest[0])) {
			err = fmt.Errorf("text after the closing quote of %q", text)
		}
		return text, rest, err
	}
	i := strings.IndexAny(s, separators)
	if i < 0 {
		i = len(s)
	}
	return strings.TrimSpace(s[:i]), s[i:], nil
}

func formatMap(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, quoteFor(k, ",:")+":"+quoteFor(m[k], ",:"))
	}
	return strings.Join(pairs, ",")
}
