package conf

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func settingsOf(pairs ...string) []Setting {
	var out []Setting
	for i := 0; i < len(pairs); i += 2 {
		key := pairs[i]
		if !strings.Contains(key, "manager.") {
			key = "taskmanager.memory." + key
		}
		out = append(out, Setting{key, pairs[i+1]})
	}
	return out
}

func TestTaskManagerMemory(t *testing.T) {
	shipped := TaskManagerMemorySpec{
		FrameworkHeap: 128 * MiB, TaskHeap: 384 * MiB, FrameworkOffHeap: 128 * MiB, Network: 128 * MiB, Managed: 512 * MiB,
		Metaspace: 256 * MiB, Overhead: 192 * MiB,
	}
	with := func(f func(*TaskManagerMemorySpec)) TaskManagerMemorySpec { s := shipped; f(&s); return s }
	for _, tt := range []struct {
		name     string
		settings []Setting
		want     TaskManagerMemorySpec
	}{
		{"the worked example is the default", nil, shipped},
		{"process size", settingsOf("process.size", "1728m"), shipped},
		{"flink size: the overhead is the inverse share, here its minimum", settingsOf("flink.size", "1280m"), shipped},
		{"flink and process size: the overhead is the rest", settingsOf("flink.size", "1280m", "process.size", "1792m"),
			with(func(s *TaskManagerMemorySpec) { s.Overhead = 256 * MiB })},
		{"task heap and managed: the network is the inverse share", settingsOf("task.heap.size", "384m", "managed.size", "512m"), shipped},
		{"task heap, managed and flink size: the network is the rest", settingsOf("task.heap.size", "384m", "managed.size", "512m", "flink.size", "1300m"),
			with(func(s *TaskManagerMemorySpec) { s.Network = 148 * MiB })},
		{"task heap, managed and process size", settingsOf("task.heap.size", "384m", "managed.size", "512m", "process.size", "1750m"),
			with(func(s *TaskManagerMemorySpec) { s.Overhead = 214 * MiB })},
		{"task heap alone: the network is the rest", settingsOf("task.heap.size", "400m"),
			with(func(s *TaskManagerMemorySpec) { s.TaskHeap, s.Network = 400*MiB, 112*MiB })},
		{"managed alone", settingsOf("managed.size", "0"), with(func(s *TaskManagerMemorySpec) { s.TaskHeap, s.Managed = 896*MiB, 0 })},
		{"fixed network", settingsOf("network.min", "100m", "network.max", "100m"),
			with(func(s *TaskManagerMemorySpec) { s.TaskHeap, s.Network = 412*MiB, 100*MiB })},
		{"network below its minimum", settingsOf("network.fraction", "0.01"),
			with(func(s *TaskManagerMemorySpec) { s.TaskHeap, s.Network = 448*MiB, 64*MiB })},
		{"large: the overhead is a share", settingsOf("process.size", "4g"), TaskManagerMemorySpec{
			FrameworkHeap: 128 * MiB, FrameworkOffHeap: 128 * MiB, Metaspace: 256 * MiB, Overhead: 429496729, // 409.6 MiB
			Managed: 1438814044, Network: 359703511, TaskHeap: 3597035111 - 2*128*MiB - 1438814044 - 359703511,
		}},
		{"task off-heap", settingsOf("task.off-heap.size", "84m"),
			with(func(s *TaskManagerMemorySpec) { s.TaskHeap, s.TaskOffHeap = 300*MiB, 84*MiB })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := mustWith(t, tt.settings...)
			got, err := TaskManagerMemory(c)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
	if got := shipped.GoMemLimit(); got != (1152+32)*MiB {
		t.Errorf("GOMEMLIMIT = %v, want 1152m and the heap floor", got)
	}
	if got, want := shipped.PerSlot(2), (TaskManagerMemorySpec{TaskHeap: 192 * MiB, Network: 64 * MiB, Managed: 256 * MiB}); got != want {
		t.Errorf("share of a slot = %+v", got)
	}
}

func TestTaskManagerMemoryErrors(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings []Setting
		want     string
	}{
		{"process smaller than the reserve", settingsOf("process.size", "400m"), "less than the reserve"},
		{"a bare number counts bytes", settingsOf("process.size", "1728"), "is 1728b"},
		{"parts larger than the whole", settingsOf("process.size", "800m"), "more than its total Flink memory"},
		{"managed too large", settingsOf("managed.size", "1280m"), "more than its total Flink memory"},
		{"given parts larger than flink size", settingsOf("task.heap.size", "1g", "managed.size", "512m", "flink.size", "1g"), "more than taskmanager.memory.flink.size"},
		{"network remainder too small", settingsOf("task.heap.size", "384m", "managed.size", "512m", "flink.size", "1200m"), "leaves 48m, which is not between taskmanager.memory.network.min (64m)"},
		{"network remainder too large", settingsOf("task.heap.size", "384m", "managed.size", "512m", "flink.size", "2g", "network.max", "200m"), "taskmanager.memory.network.max (200m)"},
		{"task heap alone too large", settingsOf("task.heap.size", "1g"), "more than the total Flink memory"},
		{"overhead remainder too small", settingsOf("flink.size", "1280m", "process.size", "1600m"), "leaves 64m"},
		{"flink size larger than process size", settingsOf("flink.size", "2g", "process.size", "1g"), "more than taskmanager.memory.process.size"},
		{"minimum above maximum", settingsOf("network.min", "2g", "network.max", "1g"), "taskmanager.memory.network.min (2g) is more than"},
		{"overhead minimum above maximum", settingsOf("jvm-overhead.min", "2g"), "taskmanager.memory.jvm-overhead.min (2g) is more than"},
		{"absurd fraction", settingsOf("task.heap.size", "1g", "managed.size", "1g", "network.fraction", "0.99999999"), "network.fraction"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := mustWith(t, tt.settings...)
			got, err := TaskManagerMemory(c)
			if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v, want %q", got, err, tt.want)
			}
		})
	}
	for _, s := range settingsOf("network.fraction", "1", "managed.fraction", "-0.1", "process.size", "2000t") {
		if _, _, err := (*Config)(nil).With("test", s); err == nil {
			t.Errorf("%s is accepted", s)
		}
	}
}

func TestJobManagerMemory(t *testing.T) {
	const p = "jobmanager.memory."
	for _, tt := range []struct {
		name     string
		settings []Setting
		want     JobManagerMemorySpec
	}{
		{"default", nil, JobManagerMemorySpec{448 * MiB, 128 * MiB, 256 * MiB, 192 * MiB}},
		{"the worked example", settingsOf(p+"process.size", "1600m"), JobManagerMemorySpec{1024 * MiB, 128 * MiB, 256 * MiB, 192 * MiB}},
		{"flink size", settingsOf(p+"flink.size", "1152m"), JobManagerMemorySpec{1024 * MiB, 128 * MiB, 256 * MiB, 192 * MiB}},
		{"heap", settingsOf(p+"heap.size", "1024m"), JobManagerMemorySpec{1024 * MiB, 128 * MiB, 256 * MiB, 192 * MiB}},
		{"heap wins over process size, the overhead is the rest", settingsOf(p+"heap.size", "1024m", p+"process.size", "1700m"),
			JobManagerMemorySpec{1024 * MiB, 128 * MiB, 256 * MiB, 292 * MiB}},
		{"heap and flink size: off-heap is the rest", settingsOf(p+"heap.size", "1024m", p+"flink.size", "1224m"),
			JobManagerMemorySpec{1024 * MiB, 200 * MiB, 256 * MiB, 192 * MiB}},
		{"large: overhead at its maximum", settingsOf(p+"process.size", "20g"), JobManagerMemorySpec{20*GiB - GiB - 384*MiB, 128 * MiB, 256 * MiB, GiB}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := mustWith(t, tt.settings...)
			got, err := JobManagerMemory(c)
			if err != nil || got != tt.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		settings []Setting
		want     string
	}{
		{settingsOf(p+"process.size", "400m"), "less than the reserve"},
		{settingsOf(p+"process.size", "500m"), "off-heap.size (128m) is more than the total Flink memory"},
		{settingsOf(p+"heap.size", "1g", p+"flink.size", "512m"), "is not the sum"},
		{settingsOf(p+"heap.size", "1g", p+"flink.size", "2g", p+"off-heap.size", "1m"), "is not the sum"},
		{settingsOf(p+"heap.size", "1g", p+"process.size", "1g"), "more than jobmanager.memory.process.size"},
	} {
		c, _ := mustWith(t, tt.settings...)
		if got, err := JobManagerMemory(c); !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %+v, %v, want %q", tt.settings, got, err, tt.want)
		}
	}
	if s, _ := JobManagerMemory(nil); s.GoMemLimit() != 576*MiB {
		t.Errorf("the default: GOMEMLIMIT %v", s.GoMemLimit())
	}
}

// TestMemorySumsHold draws settings at random: whatever is accepted adds up to what was given.
func TestMemorySumsHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := []Option[MemorySize]{
		TaskManagerProcessSize, TaskManagerFlinkSize, TaskManagerTaskHeapSize, TaskManagerManagedSize, TaskManagerFrameworkHeapSize,
		TaskManagerTaskOffHeapSize, TaskManagerNetworkMin, TaskManagerNetworkMax, TaskManagerOverheadMin, TaskManagerMetaspaceSize,
	}
	accepted := 0
	for range 20_000 {
		var settings []Setting
		for i, o := range keys {
			if rng.IntN(3) == 0 {
				limit := int64(2 * GiB)
				if i < 2 {
					limit = int64(16 * GiB)
				}
				settings = append(settings, o.Setting(MemorySize(rng.Int64N(limit))))
			}
		}
		if rng.IntN(2) == 0 {
			settings = append(settings, TaskManagerNetworkFraction.Setting(rng.Float64()*0.9), TaskManagerOverheadFraction.Setting(rng.Float64()*0.9))
		}
		c, _ := mustWith(t, settings...)
		s, err := TaskManagerMemory(c)
		if err != nil {
			continue
		}
		accepted++
		checkSums(t, c, s)
		if t.Failed() {
			t.Fatalf("settings %v give %+v", settings, s)
		}
	}
	if accepted < 1000 {
		t.Errorf("only %d drawn settings were accepted", accepted)
	}
}

func checkSums(t *testing.T, c *Config, s TaskManagerMemorySpec) {
	t.Helper()
	for _, part := range []MemorySize{s.FrameworkHeap, s.TaskHeap, s.FrameworkOffHeap, s.TaskOffHeap, s.Network, s.Managed, s.Metaspace, s.Overhead} {
		if part < 0 {
			t.Errorf("a part is below zero")
		}
	}
	flink, flinkSet := TaskManagerFlinkSize.Lookup(c)
	if flinkSet && s.TotalFlink() != flink {
		t.Errorf("total Flink memory %v, want %v", s.TotalFlink(), flink)
	}
	process, processSet := TaskManagerProcessSize.Lookup(c)
	byParts := TaskManagerTaskHeapSize.IsSet(c) && TaskManagerManagedSize.IsSet(c)
	if (processSet || !flinkSet && !byParts) && s.Process() != process {
		t.Errorf("process size %v, want %v", s.Process(), process)
	}
	if s.Network < TaskManagerNetworkMin.Get(c) || s.Network > TaskManagerNetworkMax.Get(c) {
		t.Errorf("network %v is out of bounds", s.Network)
	}
	if s.Overhead < TaskManagerOverheadMin.Get(c) || s.Overhead > TaskManagerOverheadMax.Get(c) {
		t.Errorf("overhead %v is out of bounds", s.Overhead)
	}
}

func TestVmem(t *testing.T) {
	am, err := JobManagerMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	worker, err := TaskManagerMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := am.VmemNeeded(), 1550+20+576; got != want {
		t.Errorf("ApplicationMaster needs %d MiB, want %d", got, want)
	}
	if got, want := worker.VmemNeeded(), 1550+20+1152+32+128; got != want {
		t.Errorf("worker needs %d MiB, want %d", got, want)
	}
	if err := CheckVmem(am.Process().MiB(), am.VmemNeeded(), 2.1, "x"); err != nil {
		t.Errorf("the default ApplicationMaster: %v", err)
	}
	if err := CheckVmem(worker.Process().MiB(), worker.VmemNeeded(), 2.1, "x"); err != nil {
		t.Errorf("the default worker: %v", err)
	}
	if got := VmemNeeded(2, 1, 100*MiB+1, 0); got != 2*1550+20+101 {
		t.Errorf("two processes need %d MiB", got)
	}
}

// TestVmemAdvice follows the advice of a refusal: the size that it names must pass.
func TestVmemAdvice(t *testing.T) {
	for _, tt := range []struct {
		size, want string
	}{{"700m", "set jobmanager.memory.process.size to 1020m"}, {"1019m", "set jobmanager.memory.process.size to 1020m"}, {"1020m", ""}} {
		c, _ := mustWith(t, Setting{"jobmanager.memory.process.size", tt.size})
		s, err := JobManagerMemory(c)
		if err != nil {
			t.Fatal(err)
		}
		err = CheckVmem(s.Process().MiB(), s.VmemNeeded(), 2.1, JobManagerProcessSize.Key)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.size, err, tt.want)
		}
	}
	if err := CheckVmem(1000, 1500, 1, "x"); err == nil || !strings.Contains(err.Error(), "raise it") {
		t.Errorf("ratio 1: %v", err)
	}
}

func TestWorkerVCoresFollowTheSlots(t *testing.T) {
	for _, tc := range []struct {
		settings []Setting
		want     int
	}{
		{nil, 1},
		{[]Setting{NumberOfTaskSlots.Setting(3)}, 3},
		{[]Setting{NumberOfTaskSlots.Setting(3), YarnContainersVcores.Setting(2)}, 2},
	} {
		c, _, err := (&Config{}).With("test", tc.settings...)
		if err != nil {
			t.Fatal(err)
		}
		if got := WorkerVCores(c); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.settings, got, tc.want)
		}
	}
}
