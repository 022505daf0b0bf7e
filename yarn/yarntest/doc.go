// Package yarntest is a small YARN for tests: a fake ResourceManager with its client and scheduler ports and fake
// NodeManagers, all on the real wire (yarn/ipc/ipctest) with real tokens (HMAC-SHA1 under master keys that roll).
//
// Start gives a Cluster; Close ends it. Clients talk to it as to Hadoop 3.5: ApplicationClientProtocol (SIMPLE),
// ApplicationMasterProtocol (AMRM token), ContainerManagementProtocol (NM token; container tokens inside). One file
// holds each protocol: client.go, scheduler.go, container.go. control.go is how a test plays fate: node loss,
// preemption, restart of the YARN RM, token rollover, late and repeated completions. Hooks see each call before and
// after it is processed and may refuse it, hold it or lose its answer.
//
// Containers are simulated, or with Config.Launcher (Exec) run for real: files localised with size and time checked,
// launch_container.sh under bash, an own process group, SIGTERM then SIGKILL.
//
// Goroutines: those of the servers, one per running process, one for the heartbeat of all nodes. All state is behind
// one lock, which no I/O holds. Work per container is constant, so that thousands of them can be used for load.
//
// Exceptions lists what each mistake is answered with; a test under integration/ holds that table against Hadoop.
// Left out: queues beyond a name, labels other than configured ones, resizing, opportunistic containers, ACLs,
// Kerberos. Locality is ignored: every ask is for any node.
package yarntest
