// Command demo shows flott at work, from nothing: it starts real Hadoop on this machine, puts Go's own sources into HDFS, runs WordCount
// over them on YARN, and prints the commonest words, how YARN saw the application, and where the time went.
//
// It is called by `make demo`, with the module's root as working directory; all runs on the main goroutine, except the upload, the reading
// of the command's output, and the compilation beside the start of Hadoop. What always holds: the result is compared with a count of its
// own; whatever ends it, Ctrl-C too, nothing is left running. Logs stay in the directory that it names at the end.
package main
