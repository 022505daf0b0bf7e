package roles

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/flott-dev/flott/conf"
)

func TestHeapFloorDefersCollections(t *testing.T) {
	next := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.NextGC
	}
	release := holdHeapFloor()
	if got, want := next(), 2*uint64(conf.HeapFloor.Bytes()); got < want {
		t.Errorf("with the floor the next collection comes at %d bytes, want %d or more", got, want)
	}
	release()
	if got, limit := next(), 2*uint64(conf.HeapFloor.Bytes()); got >= limit {
		t.Errorf("after its release the next collection comes at %d bytes, want less than %d", got, limit)
	}
}

// TestHeapFloorIsNotResident looks at a fresh process, as roles hold the floor in one.
func TestHeapFloorIsNotResident(t *testing.T) {
	const variable = "FLOTT_TEST_HEAP_FLOOR"
	if os.Getenv(variable) != "" {
		before := heapResident(t)
		release := holdHeapFloor()
		after := heapResident(t)
		release()
		if more, limit := after-before, conf.HeapFloor.Bytes()/4; more > limit {
			t.Errorf("the heap floor made %d bytes resident, want at most %d", more, limit)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHeapFloorIsNotResident$")
	cmd.Env = append(os.Environ(), variable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// heapResident returns the resident bytes of the mapping that Go's heap lies in; the race detector's shadow is another.
func heapResident(t *testing.T) int64 {
	object := &[64]byte{}
	address := uint64(uintptr(unsafe.Pointer(object)))
	data, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	inHeap := false
	for line := range strings.SplitSeq(string(data), "\n") {
		fields := strings.Fields(line)
		if from, to, isRange := strings.Cut(strings.Fields(line + " .")[0], "-"); isRange {
			low, err1 := strconv.ParseUint(from, 16, 64)
			high, err2 := strconv.ParseUint(to, 16, 64)
			inHeap = err1 == nil && err2 == nil && low <= address && address < high
		}
		if inHeap && len(fields) == 3 && fields[0] == "Rss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += kib << 10
		}
	}
	runtime.KeepAlive(object)
	if sum == 0 {
		t.Fatal("no arena of the heap was found")
	}
	return sum
}

func TestTheLimitOfTheUserLeavesRoomForTheFloor(t *testing.T) {
	was := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(was)
	raiseMemoryLimit()
	if got := debug.SetMemoryLimit(1 << 30); got != math.MaxInt64 {
		t.Errorf("no limit became %d", got)
	}
	raiseMemoryLimit()
	if got, want := debug.SetMemoryLimit(-1), int64(1<<30)+conf.HeapFloor.Bytes(); got != want {
		t.Errorf("limit %d, want %d", got, want)
	}
}
