package jobbinary

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/rpc/launchfile"
)

// Module is the module that every job program links.
const Module = "github.com/flott-dev/flott"

// commandPath is the flott command itself, which is no job although it links the same packages.
const commandPath = Module + "/bin/flott"

// ErrRefused is under every error of Inspect that is about what the file is, not about reading it.
var ErrRefused = errors.New("not a job binary for this cluster")

// refusal is one sentence.
type refusal string

func (r refusal) Error() string { return string(r) }
func (r refusal) Unwrap() error { return ErrRefused }

// Info is what a job binary says about itself.
type Info struct {
	Path string // import path of its main package
	Go   string // version it was built with
	// LaunchVersion is the version of the launch file that it reads.
	LaunchVersion int
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// Arches are the architectures of nodes that jobs can be built for.
func Arches() []string { return []string{"amd64", "arm64"} }

// Inspect looks at a file that is to run on Linux nodes of an architecture (Go's name for it).
func Inspect(path, arch string) (Info, error) {
	f, err := open(path)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Info{}, fmt.Errorf("open job binary: %w", err)
	}
	if !st.Mode().IsRegular() {
		return Info{}, refusal(path + " is not a regular file")
	}
	if err := checkELF(path, f, arch); err != nil {
		return Info{}, err
	}
	info, err := checkGo(path, f)
	if err != nil {
		return Info{}, err
	}
	if st.Mode().Perm()&0o111 == 0 {
		return Info{}, refusal(path + " is not executable: chmod +x " + path)
	}
	if info.LaunchVersion, err = checkMark(path, f); err != nil {
		return Info{}, err
	}
	return info, nil
}

// InspectLocal looks at a file that is to run on this machine only, on whatever system that is.
func InspectLocal(path string) (Info, error) {
	f, err := open(path)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	info, err := checkGo(path, f)
	if err != nil {
		return Info{}, err
	}
	info.LaunchVersion, err = checkMark(path, f)
	return info, err
}

func open(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("open job binary: %w", err)
	}
	return f, nil
}

func checkELF(path string, f *os.File, arch string) error {
	kind := kindOf(f)
	if kind != "ELF" {
		return refusal(fmt.Sprintf("%s is not a Linux program but %s: build the job with GOOS=linux GOARCH=%s CGO_ENABLED=0", path, kind, arch))
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return refusal(fmt.Sprintf("%s is a damaged ELF file: %v", path, err))
	}
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN {
		return refusal(fmt.Sprintf("%s is no program but an ELF file of another kind (%s)", path, e.Type))
	}
	if e.OSABI != elf.ELFOSABI_NONE && e.OSABI != elf.ELFOSABI_LINUX {
		return refusal(fmt.Sprintf("%s is a program for another system (%s): build the job with GOOS=linux", path, e.OSABI))
	}
	if want, ok := machines[arch]; !ok || e.Machine != want {
		return refusal(fmt.Sprintf("%s is a program for %s, and the nodes are %s: build it with GOARCH=%s, or say with --arch what the nodes are",
			path, machineName(e.Machine), arch, arch))
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return refusal(path + " is not static, so it needs libraries that nodes may not have: build the job with CGO_ENABLED=0")
		}
	}
	return nil
}

func machineName(m elf.Machine) string {
	for name, e := range machines {
		if e == m {
			return name
		}
	}
	return strings.TrimPrefix(m.String(), "EM_")
}

// kindOf names what a file is by its first bytes.
func kindOf(r io.ReaderAt) string {
	head := make([]byte, 4)
	n, _ := r.ReadAt(head, 0)
	head = head[:n]
	for _, k := range []struct{ magic, name string }{
		{"\x7fELF", "ELF"}, {"MZ", "a Windows program"}, {"\xcf\xfa\xed\xfe", "a macOS program"}, {"\xca\xfe\xba\xbe", "a macOS program or a Java class"},
		{"PK\x03\x04", "a zip or jar archive"}, {"#!", "a script"}, {"\x1f\x8b", "a gzip archive"},
	} {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return k.name
		}
	}
	return "some other file"
}

func checkGo(path string, f *os.File) (Info, error) {
	info, err := buildinfo.Read(f)
	if err != nil {
		return Info{}, refusal(path + " is not a flott job: it was not built by Go (or its build information was removed)")
	}
	if !linksFlott(info) {
		return Info{}, refusal(fmt.Sprintf("%s is not a flott job: the Go program %s does not use %s", path, info.Path, Module))
	}
	if info.Path == commandPath {
		return Info{}, refusal(path + " is the flott command itself, not a job")
	}
	return Info{Path: info.Path, Go: info.GoVersion}, nil
}

func linksFlott(info *debug.BuildInfo) bool {
	if info.Main.Path == Module {
		return true
	}
	for _, d := range info.Deps {
		if d.Path == Module {
			return true
		}
	}
	return false
}

// checkMark finds which launch files the binary reads.
func checkMark(path string, f *os.File) (int, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read job binary: %w", err)
	}
	versions, err := findMarks(f)
	if err != nil {
		return 0, fmt.Errorf("read job binary: %w", err)
	}
	if len(versions) == 0 {
		return 0, refusal(fmt.Sprintf("%s is not a flott job: it uses the module but does not call flow.Main", path))
	}
	for _, v := range versions {
		if v == launchfile.Version {
			return v, nil
		}
	}
	return 0, refusal(fmt.Sprintf("%s was built with another release of flott (it reads launch version %d, this command writes %d): build job and command from the same release",
		path, versions[0], launchfile.Version))
}

// maxMarkDigits bounds the number behind the mark, with its semicolon.
const maxMarkDigits = 10

// findMarks lists the versions behind all marks in r.
func findMarks(r io.Reader) ([]int, error) {
	mark := []byte(launchfile.VersionMark)
	overlap := len(mark) + maxMarkDigits
	buf := make([]byte, 1<<20)
	var found []int
	kept := 0
	for {
		n, err := io.ReadFull(r, buf[kept:])
		window := buf[:kept+n]
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return nil, err
		}
		limit := len(window) - overlap // marks that begin later are seen whole in the next window
		if last {
			limit = len(window)
		}
		for at := 0; ; {
			i := bytes.Index(window[at:], mark)
			if i < 0 || at+i >= limit {
				break
			}
			at += i + len(mark)
			digits, _, ok := bytes.Cut(window[at:min(len(window), at+maxMarkDigits)], []byte(";"))
			if v, err := strconv.Atoi(string(digits)); ok && err == nil {
				found = append(found, v)
			}
		}
		if last {
			return found, nil
		}
		kept = copy(buf, window[limit:])
	}
}
