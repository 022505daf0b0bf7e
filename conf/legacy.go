package conf

import (
	"fmt"
	"strings"
)

// parseLegacy reads flink-conf.yaml as Flink 1.20 does: line by line, "key: value", everything after a # dropped. A line it cannot
// read is skipped with a warning that gives its number but not its text, which may hold a secret. The last of equal keys wins.
func parseLegacy(path string, data []byte) ([]assignment, []Warning) {
	var out []assignment
	var warnings []Warning
	index := map[string]int{}
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		number++
		origin := Origin(fmt.Sprintf("%s:%d", path, number))
		text, comment, commented := strings.Cut(line, "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		key, value, found := strings.Cut(strings.TrimSpace(text), ": ")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" || value == "" {
			warnings = append(warnings, Warning{Origin: origin, Text: "not of the form \"key: value\"; the line is skipped"})
			continue
		}
		if commented && comment != "" && text == strings.TrimRight(text, " \t") {
			warnings = append(warnings, Warning{Origin: origin, Key: key, Text: "the value ends before #, which starts a comment"})
		}
		a := assignment{Setting: Setting{key, value}, origin: origin}
		if i, again := index[key]; again {
			warnings = append(warnings, Warning{Origin: origin, Key: key, Text: fmt.Sprintf("set before at %s; this one wins", out[i].origin)})
			out[i] = a
			continue
		}
		index[key] = len(out)
		out = append(out, a)
	}
	return out, warnings
}
