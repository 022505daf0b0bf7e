// Package textfile is the source of lines of text files.
//
// It has two halves. The enumerator (program.Coordinator) runs once, in the AM, on the goroutine of its host: it lists the files when it
// starts, cuts them into splits, and gives splits to readers that ask, those on the reader's host first. The reader (operator.Poller) runs in each subtask: its
// fetchers, goroutines that Open starts and Close waits for, open files and read chunks that end with a line; Poll, on the task's
// goroutine, cuts the chunks into lines and never waits.
//
// What always holds: a line belongs to the split in which it starts, so that every line is read once wherever a file is cut; a chunk is
// never used again, so lines are strings that refer to it; a split's id depends on the file's path, length and time and on the offset, so
// that it is the same in every process and attempt. Between the two halves travel only values of message, by codec.
//
// It does not look for files that come later, and does not seek in compressed files: those are one split, read again from the start after
// a restore.
package textfile
