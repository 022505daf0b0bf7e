package main

import (
	"fmt"
	"syscall"
)

// Open files of the harness: for each worker a listener and its ends of two connections, one from and one to the AM; for each node a listener
// and the AM's connection.
const (
	filesPerWorker = 3
	filesPerNode   = 2
	otherFiles     = 200
)

func nodes(workers, perNode int) int { return (workers + perNode - 1) / perNode }

// allowFiles raises the limit of open files for this process and what it starts, as far as it can be raised, and returns what processes does.
func allowFiles(workers, perNode int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	most, need := limit.Max, filesOfFakes(workers, perNode)+filesPerWorker*uint64(workers)
	limit.Cur, limit.Max = max(need, limit.Cur), max(need, limit.Max)
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		return 0, nil
	}
	return processes(workers, perNode, most)
}

func filesOfFakes(workers, perNode int) uint64 {
	return uint64(filesPerNode*nodes(workers, perNode) + otherFiles)
}

// processes returns in how many processes beside that of the fakes the workers have to be when each may have so many open files: 0 if they fit
// into that one. It is an error if the AM cannot have a connection to each worker; beside these it has one to each node that starts
// containers, and for some seconds one from each new worker.
func processes(workers, perNode int, most uint64) (int, error) {
	fakes, own := filesOfFakes(workers, perNode), filesPerWorker*uint64(workers)
	if fakes+own <= most {
		return 0, nil
	}
	if least := fakes + uint64(workers); least > most {
		return 0, fmt.Errorf("%d workers need an ApplicationMaster with more than %d open files and at most %d are allowed here: raise the limit (ulimit -Hn)",
			workers, least, most)
	}
	room := most - otherFiles
	return int((own + room - 1) / room), nil
}
