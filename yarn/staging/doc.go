// Package staging owns what flott keeps in the user's file system beside the jobs' own data: one directory for each application, the
// cache of job binaries, and the rules by which all of it disappears again.
//
//	<staging>/.flott/<appId>/                     0700, one application
//	<staging>/.flott/<appId>/owner                names the YARN RM; written first
//	<staging>/.flott/<appId>/leftovers/<number>   one sink directory each, written before that directory is created
//	<staging>/.flott/<appId>/checkpointed         there once a checkpoint or savepoint completed
//	<staging>/.flott/cache/<sha256>               job binaries, never changed
//	<staging>/.flott/refs/<sha256>/<appId>        who uses which binary
//	<staging>/.flott/trash/                       binaries that are being collected
//
// Callers are bin/cli (submit, clean after the end, sweep at the next command, cleanup) and appmaster (leftovers, clean at the end),
// each on its own goroutine; an Area may be used from several. It starts no goroutine and keeps no state in memory: several clients
// and an ApplicationMaster work on the same directory at once, and any of them may die at any step.
//
// What always holds: a submitter writes its reference before it looks for the binary; a collector moves the binary away before it
// looks for references the second time; so a binary that a submitter saw and confirmed is not lost. A sweep touches an application
// only if its owner is the RM that was asked. Only directories whose name begins with .flott- are deleted outside the staging area.
// Every step may be repeated.
//
// What it does not do: submit, ask YARN about applications (a function answers that), delete znodes, checkpoints or parts that a
// checkpoint may name.
package staging
