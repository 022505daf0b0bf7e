// Package launchfile is the file that tells every process of an application what it runs: arguments, parameters, parallelism, the plan
// and the resolved configuration.
//
// The CLI writes it, for each submission and for local runs; YARN localises it beside the job binary; every role of the job binary reads
// it at its start, from the path in the environment variable [Variable], and then unsets the variable. It is a value without behaviour.
//
// What always holds: a reader accepts only the version it was built for, and refuses a file above [MaxBytes] before reading it; the
// configuration in it may hold secrets, so it is written for its owner only (0600) and never printed.
package launchfile
