// Package jobmaster is the leader-scoped endpoint of one job: it holds the job's workers, slots and coordinators together and lets
// the scheduler decide.
//
// It owns the streams to the workers that serve the job (at most one live stream each), the slot pool, the requests that are
// under way on those streams, the coordinator host and the job's scheduler. The Dispatcher makes one per job and epoch and calls it;
// workers call RegisterTaskExecutor through the Dispatcher; the ResourceManager calls NotEnoughResources and WorkerGone. All state
// is confined to one actor loop (core); readers of streams, coordinators and dials run beside it and post what they learn together with
// the stream or registration attempt it belongs to. View may be called from anywhere and never waits for the loop.
//
// What always holds:
//   - A message counts only when it came over its worker's current stream; the first message of a stream is the inventory.
//   - A slot is in the pool only while its worker is known; accepted slots never exceed what was declared.
//   - A deployment that was not answered is sent again, under the same request id, exactly when an inventory shows that it did not
//     arrive.
//   - A worker is lost when it was silent for HeartbeatTimeout, when its address refused or reset FailureThreshold times in a row,
//     when it says Leaving, or when the ResourceManager says so; a broken stream alone is opened again.
//   - Nothing sent to a task is lost silently: if a stream breaks while coordinator events may be under way, the executions meant
//     fail.
//   - After Hold nothing is deployed, accepted, declared or decided; heartbeats, and events between tasks and coordinators, go on.
//
// It does not store, commit or discard by itself: it tells its Listener that the tasks have ended, and the Dispatcher calls Commit,
// Discard and Conclude in the order of the job's end.
package jobmaster
