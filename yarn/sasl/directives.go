package sasl

import (
	"fmt"
	"strings"
)

// parseDirectives reads `key=value,key="quoted \" value", …` (RFC 2831 §7.1). A key may come once only, but for realm and auth-param, whose
// first value counts.
func parseDirectives(b []byte) (map[string]string, error) {
	if len(b) > maxChallenge {
		return nil, fmt.Errorf("%w: challenge of %d bytes", ErrProtocol, len(b))
	}
	out := map[string]string{}
	s := strings.TrimLeft(string(b), ", \t")
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("%w: directive without value", ErrProtocol)
		}
		key = strings.ToLower(strings.TrimSpace(key))
		value, rest, err := parseValue(strings.TrimLeft(rest, " \t"))
		if err != nil {
			return nil, err
		}
		if _, again := out[key]; !again {
			out[key] = value
		} else if key != "realm" {
			return nil, fmt.Errorf("%w: directive %.20q twice", ErrProtocol, key)
		}
		rest = strings.TrimLeft(rest, " \t")
		if rest != "" && rest[0] != ',' {
			return nil, fmt.Errorf("%w: directives not separated", ErrProtocol)
		}
		s = strings.TrimLeft(rest, ", \t")
	}
	return out, nil
}

func parseValue(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, ", \t")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				break
			}
			fallthrough
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("%w: quote without end", ErrProtocol)
}

func quote(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}
