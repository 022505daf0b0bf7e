package launch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// markers are what the NodeManager replaces in values and commands before any shell sees them.
// Java: ContainerLaunch.expandEnvironment.
var markers = []string{"{{", "}}", "<LOG_DIR>", "<CPS>", "<ADD_OPENS>"}

// logDirMarker is replaced by the container's log directory.
const logDirMarker = "<LOG_DIR>"

// inDoubleQuotes writes s so that it means s inside the double quotes of launch_container.sh. It may leave the quotes
// for a moment: bytes that are no printable text become $'\xHH', and a marker is cut in two by an empty pair of
// quotes, which the shell removes.
func inDoubleQuotes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `"$'\x%02x'"`, s[i])
		case r == '$' || r == '`' || r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(s[i])
		default:
			b.WriteString(s[i : i+size])
			if startsMarker(s[i:]) {
				b.WriteString(`""`)
			}
		}
		i += size
	}
	return b.String()
}

func startsMarker(s string) bool {
	for _, m := range markers {
		if strings.HasPrefix(s, m) {
			return true
		}
	}
	return false
}

// word writes s as one word of a shell command.
func word(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// plain reports whether a shell takes r literally wherever it stands in an argument.
func plain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-./:=,+@%", r)
}
