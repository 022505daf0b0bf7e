package conf

import (
	"fmt"
	"math"
)

// What a process maps, measured: YARN's check of virtual memory counts address space, and Go's runtime reserves much of it.
const (
	vmemGoProcess = 1550 * MiB
	vmemShell     = 20 * MiB
)

// VmemNeeded returns the MiB of virtual memory that a container's process tree can come to: its Go processes and shells as they
// start, the Go memory limits of all of them together, and the network pool.
func VmemNeeded(goProcesses, shells int, goMemLimit, network MemorySize) int {
	return (MemorySize(goProcesses)*vmemGoProcess + MemorySize(shells)*vmemShell + goMemLimit + network).MiB()
}

// VmemNeeded returns what the ApplicationMaster's container (one Go process under one shell) can come to, in MiB.
func (s JobManagerMemorySpec) VmemNeeded() int { return VmemNeeded(1, 1, s.GoMemLimit(), 0) }

// VmemNeeded returns what a worker's container (one Go process under one shell) can come to, in MiB.
func (s TaskManagerMemorySpec) VmemNeeded() int { return VmemNeeded(1, 1, s.GoMemLimit(), s.Network) }

// CheckVmem says in one sentence why YARN's check of virtual memory would kill a container of that size, or returns nil. ratio is
// yarn.nodemanager.vmem-pmem-ratio; sizeKey is the option that makes the container larger.
func CheckVmem(containerMiB, neededMiB int, ratio float64, sizeKey string) error {
	allowed := ratio * float64(containerMiB)
	if allowed >= float64(neededMiB) {
		return nil
	}
	return fmt.Errorf("YARN kills a container of %d MiB when it maps more than %.0f MiB (yarn.nodemanager.vmem-pmem-ratio %g), and this one "+
		"can map %d MiB: %s, or switch yarn.nodemanager.vmem-check-enabled off on the nodes", containerMiB, math.Floor(allowed), ratio,
		neededMiB, vmemAdvice(containerMiB, neededMiB, ratio, sizeKey))
}

// vmemAdvice names the size that passes. A larger container has a larger Go memory limit too: each MiB more is allowed ratio MiB and
// needs at most one.
func vmemAdvice(containerMiB, neededMiB int, ratio float64, sizeKey string) string {
	if ratio <= 1 {
		return "no size passes with that ratio, so raise it"
	}
	more := math.Ceil((float64(neededMiB) - ratio*float64(containerMiB)) / (ratio - 1))
	return fmt.Sprintf("set %s to %dm", sizeKey, containerMiB+int(more))
}
