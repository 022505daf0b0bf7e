// Package slotmanager decides which slots serve which job and how many workers the application wants.
//
// It owns the slots of the registered workers and the requirements of the jobs. The ResourceManager calls it, on its
// loop; the package itself has no goroutine, no clock and no I/O: [Manager.Step] takes the time and one event and
// returns the effects, which the caller carries out.
//
// What always holds: a slot serves at most one job; a job never has more slots allocated or being allocated than it
// requires; a worker's slot report beats what the manager believed about slots that are not being allocated just now;
// the number of workers wanted never falls below the number that serve a job.
//
// It does not know containers, YARN or how a worker is started: it only says how many it wants. It follows Flink's
// FineGrainedSlotManager (1.20) in its matching order: free slots of registered workers first, then slots of workers
// on their way, then new workers up to the limit.
package slotmanager
