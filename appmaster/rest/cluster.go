package rest

import (
	"net/http"
	"runtime/debug"
	"time"

	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/restapi"
)

// flinkVersion is the version whose interface this is: clients compare it, people see it beside our own.
const flinkVersion = "1.20.1"

// revision is what Flink's clients show behind the version: flott's own, from the build.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "flott"
	}
	version, settings := "flott", map[string]string{}
	for _, m := range info.Deps {
		if m.Path == "github.com/flott-dev/flott" {
			version += " " + m.Version
		}
	}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if rev := settings["vcs.revision"]; rev != "" {
		version += " " + rev[:min(7, len(rev))] + " @ " + settings["vcs.time"]
	}
	return version
}

func (h *handler) config(*http.Request) (answer, error) {
	name, offset := time.Now().Zone()
	return ok(restapi.Config{
		RefreshInterval: h.cfg.RefreshInterval.Milliseconds(), TimezoneName: name, TimezoneOffset: int64(offset) * 1000,
		FlinkVersion: flinkVersion, FlinkRevision: h.revision, Features: restapi.Features{WebCancel: h.cfg.AllowCancel && !h.cfg.ReadOnly},
	})
}

func (h *handler) overview(l Leader, r *http.Request) (answer, error) {
	slots, err := l.Workers.Overview(r.Context())
	if err != nil {
		return answer{}, err
	}
	jobs := l.Dispatcher.Overview()
	return ok(restapi.Overview{
		TaskManagers: slots.Workers, SlotsTotal: slots.Slots, SlotsAvailable: slots.FreeSlots,
		JobsRunning: jobs.Running, JobsFinished: jobs.Finished, JobsCancelled: jobs.Cancelled, JobsFailed: jobs.Failed,
		FlinkVersion: flinkVersion, FlinkCommit: h.revision,
	})
}

func (h *handler) jobManagerConfig(*http.Request) (answer, error) {
	out := []restapi.ConfigEntry{}
	for _, e := range h.cfg.Configuration {
		out = append(out, restapi.ConfigEntry{Key: e.Key, Value: e.Value})
	}
	return ok(out)
}

func (h *handler) taskManagers(l Leader, r *http.Request) (answer, error) {
	workers, err := l.Workers.Workers(r.Context())
	if err != nil {
		return answer{}, err
	}
	out := restapi.TaskManagers{TaskManagers: []restapi.TaskManager{}}
	for i := range workers {
		out.TaskManagers = append(out.TaskManagers, workerOf(&workers[i]))
	}
	return ok(out)
}

// findWorker returns the registered worker that the path names, nil if there is none.
func findWorker(l Leader, r *http.Request) (*resourcemanager.View, error) {
	workers, err := l.Workers.Workers(r.Context())
	if err != nil {
		return nil, err
	}
	for i := range workers {
		if workers[i].ID == ids.ResourceID(r.PathValue("taskmanagerid")) {
			return &workers[i], nil
		}
	}
	return nil, nil
}

func (h *handler) taskManager(l Leader, r *http.Request) (answer, error) {
	w, err := findWorker(l, r)
	if err != nil {
		return answer{}, err
	}
	if w == nil {
		return answer{}, internal("No TaskExecutor registered under " + r.PathValue("taskmanagerid") + ".")
	}
	out := restapi.TaskManagerDetails{TaskManager: workerOf(w), AllocatedSlots: []restapi.AllocatedSlot{}}
	out.Metrics.GarbageCollectors = []restapi.GarbageCollector{}
	slot := resourceOf(w.Registration.GetSlotProfile(), 1)
	for _, v := range l.Dispatcher.Jobs() {
		for _, used := range v.Workers {
			for range used.Slots {
				if used.ID == w.ID {
					out.AllocatedSlots = append(out.AllocatedSlots, restapi.AllocatedSlot{JobID: v.Job.String(), Resource: slot})
				}
			}
		}
	}
	return ok(out)
}

func workerOf(w *resourcemanager.View) restapi.TaskManager {
	reg := w.Registration
	memory := func(name string) int64 { return int64(reg.GetMemory()[name]) }
	return restapi.TaskManager{
		ID: string(w.ID), Path: reg.GetAddress(), DataPort: int(reg.GetDataPort()), JMXPort: -1,
		TimeSinceLastHeartbeat: millis(w.LastHeartbeat, 0), SlotsNumber: int(reg.GetSlots()), FreeSlots: w.FreeSlots,
		TotalResource: resourceOf(reg.GetTotalProfile(), 1), FreeResource: resourceOf(reg.GetSlotProfile(), w.FreeSlots),
		Hardware: restapi.Hardware{
			CPUCores: int(reg.GetHardware().GetCpuCores()), PhysicalMemory: int64(reg.GetHardware().GetPhysicalMemory()),
			FreeMemory: int64(reg.GetHardware().GetFreeMemory()), ManagedMemory: int64(reg.GetHardware().GetManagedMemory()),
		},
		MemoryConfiguration: restapi.MemoryConfiguration{
			FrameworkHeap: memory("frameworkHeap"), TaskHeap: memory("taskHeap"), FrameworkOffHeap: memory("frameworkOffHeap"),
			TaskOffHeap: memory("taskOffHeap"), NetworkMemory: memory("networkMemory"), ManagedMemory: memory("managedMemory"),
			JVMMetaspace: memory("jvmMetaspace"), JVMOverhead: memory("jvmOverhead"), TotalFlinkMemory: memory("totalFlinkMemory"),
			TotalProcessMemory: memory("totalProcessMemory"),
		},
	}
}

// resourceOf is n times a profile, in MiB.
func resourceOf(p *pb.ResourceProfile, n int) restapi.Resource {
	mib := func(bytes uint64) int64 { return int64(bytes) * int64(n) >> 20 }
	return restapi.Resource{
		CPUCores: restapi.Double(float64(p.GetCpuMillis()) * float64(n) / 1000), TaskHeapMemory: mib(p.GetTaskHeap()),
		TaskOffHeapMemory: mib(p.GetTaskOffHeap()), ManagedMemory: mib(p.GetManaged()), NetworkMemory: mib(p.GetNetwork()),
		ExtendedResources: map[string]restapi.Double{},
	}
}
