package roles

import (
	"bufio"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/conf"
)

// holdHeapFloor keeps the garbage collector from running every few MiB in a process that runs tasks: it collects when the heap has doubled
// since the last time, and what tasks keep on the heap is little beside what they drop there (strings of received records). The floor
// counts as heap, but has no pointers to follow and is never touched, so that no page of it becomes resident. For the same reason it
// does not count in the memory limit. To be called before anything has grown the heap: memory used before would be zeroed, and so touched.
// The floor stays until release.
func holdHeapFloor() (release func()) {
	floor := make([]byte, conf.HeapFloor)
	return func() { runtime.KeepAlive(floor) }
}

// raiseMemoryLimit makes room for the heap floor in a limit that the user gave (GOMEMLIMIT).
func raiseMemoryLimit() {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit + conf.HeapFloor.Bytes())
	}
}

// physicalMemory reads the machine's memory and what is available of it, in bytes; zeros where /proc does not tell.
func physicalMemory() (total, available uint64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "MemTotal":
			total = kib << 10
		case "MemAvailable":
			available = kib << 10
		}
	}
	return total, available
}
