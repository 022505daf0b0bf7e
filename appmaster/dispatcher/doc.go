// Package dispatcher is the leader-scoped endpoint that owns the life of jobs: it runs them, keeps their results, and carries out the
// end of a job and of the application in one fixed order.
//
// It owns the JobMasters of its epoch. bin/roles makes one Dispatcher per grant of leadership, calls Hold when leadership becomes
// uncertain and Close when it is lost or granted anew; REST calls the queries, CancelJob and Shutdown; workers reach their JobMaster
// through RegisterTaskExecutor; the ResourceManager's words about slots and workers pass through NotEnoughResources and
// WorkerGone. Decisions are made on one actor loop; each end of a job runs in a goroutine beside it. Queries read published snapshots
// and never wait for the loop.
//
// The order of an end (endSteps is the table, end.go runs it):
//
//	commit           all tasks FINISHED: coordinators publish the result; a permanent error turns the end into FAILED
//	discard          otherwise: coordinators remove what the tasks left
//	store result     create once, fenced; from here on a later attempt repeats only what follows
//	end tasks        workers forget final states; the job takes its terminal state
//	stop workers     by RPC first, then the containers
//	clean job        job graph and checkpoints
//	unregister       final status and diagnostics; their first line is the cause
//	remove result    result and epoch
//	remove staging
//	exit             Config.Exit is called, once
//
// A session job's end is the steps that concern the job; the others follow when the session is shut down.
//
// What always holds: a step begins only after the one before has succeeded, or cannot succeed any more and may be passed over; after Hold no step
// begins, except those after unregister; a job whose result is stored is never run again; a job id is run at most once per epoch.
//
// What it does not do: it starts no workers and knows no slots; it builds no graph (Config.Application does, in bin/roles).
package dispatcher
