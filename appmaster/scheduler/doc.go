// Package scheduler decides what happens to the tasks of one job: which slot each subtask gets, when tasks are deployed,
// cancelled and given up, and what state the job is in because of that.
//
// It owns the executions (one per subtask and try) and the job state. It is pure: Step(now, event) changes the state and
// returns effects; there is no goroutine, clock or I/O in it. Its caller is the JobMaster's core, on the JobMaster's loop, which
// turns messages into events and carries the effects out.
//
// Life of a job here:
//
//	New            INITIALIZING
//	Initialized    CREATED        the coordinators are about to start
//	Schedule       RUNNING        executions SCHEDULED, slots wanted (as in Flink, RUNNING does not yet mean that tasks run)
//	SlotAdded …    all wanted slots are there: executions DEPLOYING, one Deploy per worker
//	TaskUpdate …   INITIALIZING, RUNNING, FINISHED as the workers tell
//	               every execution has ended: effect Ended(FINISHED); the owner commits, stores, then sends Concluded
//	Concluded      FINISHED
//
// A failure turns RUNNING into FAILING, a request to cancel into CANCELLING; then all other executions are cancelled, Ended says
// FAILED or CANCELED once the last one has ended or its worker is gone, and Concluded makes it the job's state.
//
// What always holds:
//   - An execution attempt id, (epoch, n) of a subtask, is never given twice.
//   - Slot sharing is Flink's default: a slot takes at most one subtask of each vertex, so slots wanted = highest parallelism.
//   - Nothing is deployed before all wanted slots are there.
//   - The cause of the job's end is the first failure; only one that merely followed from a loss elsewhere (Failure.Secondary)
//     yields to a later primary one.
//   - What an execution reported as its final state stays; later reports about it change nothing.
//   - Final states are acknowledged by the effect Acknowledge only after Concluded, when what they carried is durable; those of
//     executions nobody knows at once.
//
// What it does not do: restarts. Every failure passes through one function, onFailure, and that is where a restart strategy will
// answer "restart these regions after this delay" instead of failing the job; Generation.Restart, execution n and the attempt
// number are there for it. It knows no slot offers either: which offers are accepted is the JobMaster's slot pool's matter.
package scheduler
