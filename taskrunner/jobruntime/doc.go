// Package jobruntime runs the tasks of one job on one worker: it owns the job's exchange with its data listener, its share of the network
// memory, the graph that this process built from the job program, and the tasks.
//
// The executor opens one when the job gets its first slot here (New, through bin/roles), sends it what the JobMaster sent (Send: Deploy,
// CancelTasks, ToTask, heartbeats), and closes it when the job has no slot left. Only messages cross, so that in a session the runtime can
// live in a child process. What tasks report comes to the loop of the runtime, and from there to Config.Events, in order.
//
// What always holds:
//
//   - tasks run only when this process' own plan has the digest of the deployed one; a difference is refused with rpc.PlanMismatch and the
//     sentence of plan.Diff;
//   - a Deploy runs as a whole or is refused as a whole, and is answered before any task of it reports a state;
//   - messages that arrive while the graph is being built wait their turn;
//   - an execution that was deployed before is not started again; for one subtask, neither the generation nor the attempt goes back;
//   - the last state of a task is reported after the task has released everything.
//
// The builder's code runs on a goroutine of its own; its panic refuses the Deploy. A task that does not end after its cancellation is
// reported through Config.Fatal by package task: the process has to end.
//
// The package does not know slots, streams or leaders.
package jobruntime
