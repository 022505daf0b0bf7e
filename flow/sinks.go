package flow

import (
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/connector/foreach"
	"github.com/flott-dev/flott/taskrunner/connector/print"
	"github.com/flott-dev/flott/taskrunner/connector/textsink"
	"github.com/flott-dev/flott/taskrunner/operator"
)

// sunk declares a sink.
func sunk[T any](s Stream[T], name string, node operator.Factory, fn any) Sink {
	o := s.env.declare(plan.Sink, name, node, fn)
	read(o, s)
	return Sink{o}
}

// WriteTextFiles writes the records as lines of text into files in dir, one for each subtask with records, named part-00000 and so on.
//
// Format appends one record to line, without an end of line, and returns the longer slice: fmt.Appendf(line, "%s\t%d", r.Key, r.Value).
//
// The directory appears, whole, when the job has finished; a failed or cancelled job leaves nothing. A job whose directory already exists
// is refused. In the directory, a file _SUCCESS says that all is there. Dir may be a URI (hdfs://…, file:///…), otherwise it lies in the
// default file system; directories above it are made. All sources of the job have to end by themselves: only checkpoints, which are not
// there yet, let a job without end finish its files.
func WriteTextFiles[T any](s Stream[T], dir string, format func(line []byte, record T) []byte) Sink {
	k := sunk(s, "WriteTextFiles", textsink.Sink[T]{Dir: dir, Format: format}, format)
	k.op.coordinated, k.op.target = true, dir
	if err := textsink.CheckDir(dir); err != nil {
		s.env.fail(k.op.at, "%s: %v", k.op.call, err)
	}
	return k
}

// Print prints each record on a line of standard output, as fmt.Println does; with several subtasks, after the number of the subtask and
// ">". On YARN that is the worker's taskmanager.out.
func Print[T any](s Stream[T]) Sink { return sunk(s, "Print", print.Sink[T]{}, nil) }

// ForEach calls f with each record; its error fails the job. F is called by every subtask, and again with records that it has seen when the
// job starts anew.
func ForEach[T any](s Stream[T], f func(T) error) Sink {
	return sunk(s, "ForEach", foreach.Sink[T]{F: f}, f)
}
