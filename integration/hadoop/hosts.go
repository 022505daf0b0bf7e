package hadoop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

const hostsFile = "/etc/hosts"

// hostsMark ends each line that belongs to a state directory; the brackets keep one directory from being the prefix of
// another.
func hostsMark(stateDir string) string { return "# flott-hadoop(" + stateDir + ")" }

// addHosts returns text with one marked line per node, and without those that stateDir had before.
func addHosts(text []byte, stateDir string, nodes []Node) []byte {
	out := removeHosts(text, stateDir)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	for _, n := range nodes {
		out = fmt.Appendf(out, "%s %s %s\n", n.IP, n.Host, hostsMark(stateDir))
	}
	return out
}

// removeHosts returns text without the marked lines of stateDir.
func removeHosts(text []byte, stateDir string) []byte {
	mark := hostsMark(stateDir)
	var out []byte
	for line := range bytes.Lines(text) {
		if !strings.HasSuffix(strings.TrimRight(string(line), "\r\n"), mark) {
			out = append(out, line...)
		}
	}
	return out
}

// editHosts rewrites the file in place, because it may be a mount that cannot be renamed over, under its lock.
func editHosts(name string, edit func([]byte) []byte) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("edit hosts file: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	old, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("edit hosts file: %w", err)
	}
	text := edit(old)
	if bytes.Equal(old, text) {
		return nil
	}
	if _, err := f.WriteAt(text, 0); err != nil {
		return fmt.Errorf("edit hosts file: %w", err)
	}
	if err := f.Truncate(int64(len(text))); err != nil {
		return fmt.Errorf("edit hosts file: %w", err)
	}
	return nil
}

// mayNameHosts says whether this process can give the nodes host names.
func mayNameHosts() bool {
	if os.Geteuid() != 0 {
		return false
	}
	f, err := os.OpenFile(hostsFile, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	// Linux routes all of 127/8 to the loopback device; elsewhere the node addresses may not exist.
	ln, err := net.Listen("tcp", "127.0.0.11:0")
	if err != nil {
		return false
	}
	ln.Close()
	return true
}
