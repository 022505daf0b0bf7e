package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// ending is one row of docs/endings.md.
type ending struct {
	name string
	exit int
	yarn string // a final status, or notSubmitted
	line *regexp.Regexp
	text string // of line, as the table has it
}

const notSubmitted = "not submitted"

// readEndings reads the table of docs/endings.md.
func readEndings(t *testing.T) map[string]ending {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot, "docs", "endings.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]ending{}
	inTable := false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case strings.HasPrefix(line, "|---"):
			inTable = true
		case inTable:
			row, err := parseEnding(cells)
			if err != nil {
				t.Fatalf("docs/endings.md: %v: %s", err, line)
			}
			if _, twice := rows[row.name]; twice {
				t.Fatalf("docs/endings.md has %q twice", row.name)
			}
			rows[row.name] = row
		}
	}
	if len(rows) == 0 {
		t.Fatal("docs/endings.md has no table")
	}
	return rows
}

func parseEnding(cells []string) (ending, error) {
	if len(cells) != 5 {
		return ending{}, fmt.Errorf("%d cells, want 5", len(cells))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	exit, err := strconv.Atoi(cells[2])
	if err != nil {
		return ending{}, err
	}
	switch cells[3] {
	case "SUCCEEDED", "FAILED", "KILLED", notSubmitted:
	default:
		return ending{}, fmt.Errorf("unknown final status %q", cells[3])
	}
	row := ending{name: cells[0], exit: exit, yarn: cells[3], text: strings.Trim(cells[4], "`")}
	row.line, err = regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(row.text), "…", ".*") + "$")
	return row, err
}

func TestParseEnding(t *testing.T) {
	row, err := parseEnding(strings.Split(" failed | a (b) | 1 | FAILED | `…no (price)…` ", "|"))
	if err != nil || row.name != "failed" || row.exit != 1 || row.yarn != "FAILED" {
		t.Errorf("got %+v, %v", row, err)
	}
	for line, want := range map[string]bool{"no (price)": true, "order 7 has no (price) yet": true, "no price": false, "": false} {
		if got := row.line.MatchString(line); got != want {
			t.Errorf("pattern %q and line %q: got %v, want %v", row.text, line, got, want)
		}
	}
	for _, bad := range []string{"a | b | c", "a | b | x | FAILED | c", "a | b | 1 | LOST | c"} {
		if _, err := parseEnding(strings.Split(bad, "|")); err == nil {
			t.Errorf("row %q: got no error", bad)
		}
	}
}
