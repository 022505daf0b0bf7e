// Package textsink is the sink that writes records as lines into files of a directory, which appears whole or not at all.
//
// It has two halves. The writer (one per subtask, on the goroutine of its task) writes one file with its records, below the job's working
// directory. The committer (program.Coordinator, in the AM, on the goroutine of its host) makes that directory when the job starts, and at
// the end moves the files that the final states name into place, or removes all.
//
//	<parent>/.flott-<job id>-<name>/                    made by the committer, after it has been entered as a leftover
//	<parent>/.flott-<job id>-<name>/tmp/<execution>/part  made by the writer of that execution
//	<parent>/.flott-<job id>-<name>/out/part-<5 digits>   moved there by the committer, by number of subtask
//	<parent>/.flott-<job id>-<name>/out/_SUCCESS          holds the sink id; written after the last part
//	<parent>/<name>                                     what out is renamed to
//
// What always holds: nothing is overwritten; writers make no parents, so that one that outlives its job cannot bring the directory back;
// the target exists only with all parts and _SUCCESS; Commit may be repeated after it was cut off anywhere, also by another process. A
// part that is not where it was written and is where it belongs, with the right length, has been committed; one that is in neither place
// is a failure.
//
// The sink id tells the own output from another's: it is made from job and operator when the sink first starts, and is kept in the
// committer's snapshot for jobs that are restored under another id.
//
// It is for jobs that end. A job without end needs checkpoints to finish files; their committables will come with Notify, and their parts
// will go into the target itself, under names that hold job, subtask and checkpoint. flow refuses such jobs until then.
package textsink
