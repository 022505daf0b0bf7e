// Package executor is a worker's endpoint: it registers at the leader's ResourceManager, owns the worker's slots, and keeps a link to
// the JobMaster of every job that has slots here. Mirrors Flink's TaskExecutor, TaskSlotTable and JobLeaderService (1.20).
//
// bin/roles makes one per process (New), serves it (gateway.Endpoints.TaskExecutor), and starts it with the address it is served at. The
// Accept methods run on goroutines of the transport; everything else happens on the executor's own loop. Tasks belong to a Runtime, one
// per (worker, job), to which the executor speaks in messages only, so that a runtime can be another process.
//
// What always holds:
//
//   - a worker that has no ResourceManager for taskmanager.registration.timeout ends itself (Config.Fatal); one that is rejected, at once;
//   - losing the ResourceManager or a JobMaster ends no task and frees no ACTIVE slot;
//   - the first message on a stream is the inventory, and nothing of an older stream is acted on after it was built;
//   - an execution that has ended is listed in every inventory until its JobMaster acknowledges it, or gives its slot up; until then the
//     worker may not be released;
//   - a slot is free only when no task runs in it; a job without slots has neither link nor runtime here;
//   - a stream of a lower epoch than the highest seen is refused, and so is one of an earlier registration attempt.
//
// How a link comes up. The peer connects back while the call to Register waits; accepting the stream ends the registration, whatever
// becomes of the call's answer:
//
//	worker: Register(n) ──→ leader                      loop: accept(n) → registration stopped, link up
//	leader:                 open(n) ──→ worker          reader: old reader ended → post inventory → read
//
// Slots (see state.go for the table):
//
//	FREE ─RequestSlot→ ALLOCATED ─offer accepted, or Deploy→ ACTIVE ─FreeSlot, JobDone→ FREE, through RELEASING while tasks run
//	ALLOCATED and without task for taskmanager.slot.timeout → FREE; the ResourceManager is told
//
// The package does not import task, exchange, operator or state. It never ends the process itself.
package executor
