package cli

import (
	"errors"
	"fmt"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/yarn/rmclient"
)

// sizes are the containers that a job is going to ask for.
type sizes struct {
	master, worker rmclient.Resource
	workers        int
}

// sizesOf derives them from the configuration and the plan, and refuses those that YARN's virtual memory check would kill.
func sizesOf(c *conf.Config, hadoop *hadoopconf.Config, p *plan.Plan) (sizes, error) {
	am, err := conf.JobManagerMemory(c)
	if err != nil {
		return sizes{}, err
	}
	tm, err := conf.TaskManagerMemory(c)
	if err != nil {
		return sizes{}, err
	}
	slots := conf.NumberOfTaskSlots.Get(c)
	s := sizes{
		master:  rmclient.Resource{MemoryMB: int64(am.Process().MiB()), VCores: int32(conf.YarnAppMasterVcores.Get(c))},
		worker:  rmclient.Resource{MemoryMB: int64(tm.Process().MiB()), VCores: int32(conf.WorkerVCores(c))},
		workers: (p.Widest() + slots - 1) / slots,
	}
	checks, err := hadoop.MemoryChecks()
	if err != nil || !checks.Virtual {
		return s, err
	}
	return s, errors.Join(
		conf.CheckVmem(am.Process().MiB(), am.VmemNeeded(), checks.VmemRatio, conf.JobManagerProcessSize.Key),
		conf.CheckVmem(tm.Process().MiB(), tm.VmemNeeded(), checks.VmemRatio, conf.TaskManagerProcessSize.Key),
	)
}

// fit refuses containers that YARN never gives out: most is its own largest.
func (s sizes) fit(most rmclient.Resource) error {
	return errors.Join(
		fits("the ApplicationMaster", s.master, most, conf.JobManagerProcessSize.Key, conf.YarnAppMasterVcores.Key),
		fits("a worker", s.worker, most, conf.TaskManagerProcessSize.Key, conf.YarnContainersVcores.Key),
	)
}

func fits(who string, want, most rmclient.Resource, memoryKey, vcoresKey string) error {
	var errs []error
	if want.MemoryMB > most.MemoryMB {
		errs = append(errs, fmt.Errorf("%s asks for %d MiB (%s), and the largest container of this YARN has %d MiB", who, want.MemoryMB, memoryKey, most.MemoryMB))
	}
	if want.VCores > most.VCores {
		errs = append(errs, fmt.Errorf("%s asks for %d vcores (%s), and the largest container of this YARN has %d", who, want.VCores, vcoresKey, most.VCores))
	}
	return errors.Join(errs...)
}

// mayWait says what the present nodes cannot give at once. More nodes may come, so it is no reason to refuse.
func (s sizes) mayWait(nodes []rmclient.Node) []string {
	var largest, free int64
	for _, n := range nodes {
		largest = max(largest, n.Capacity.MemoryMB)
		free += max(0, n.Capacity.MemoryMB-n.Used.MemoryMB)
	}
	var out []string
	switch need := s.master.MemoryMB + int64(s.workers)*s.worker.MemoryMB; {
	case len(nodes) == 0:
		out = append(out, "no NodeManager is running; the application waits for one")
	case max(s.master.MemoryMB, s.worker.MemoryMB) > largest:
		out = append(out, fmt.Sprintf("no running node is large enough for a container of %d MiB (the largest has %d MiB); the application may wait",
			max(s.master.MemoryMB, s.worker.MemoryMB), largest))
	case need > free:
		out = append(out, fmt.Sprintf("the application needs %d MiB in %d containers and the cluster has %d MiB free; it may wait", need, s.workers+1, free))
	}
	return out
}
