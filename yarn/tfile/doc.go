// Package tfile reads Hadoop's TFile container format and the logs that NodeManagers aggregate in it (Java: org.apache.hadoop.io.file.tfile.TFile
// and BCFile, org.apache.hadoop.yarn.logaggregation.AggregatedLogFormat; Hadoop 2.x to 3.5).
//
// bin/cli calls it for `flott logs`, on its own goroutine, with a file of HDFS behind an [Opener]. What always holds: no length found in a file is
// allocated before it was compared with a limit or with the file's size; log contents are streamed, never held; a damaged file is an
// error that wraps ErrFormat.
//
// A TFile is a sequence of blocks of records, each compressed by itself, and at its end an index that says where the blocks lie. An
// aggregated log has one record for each container (and three about the file itself); its value is the container's log files, one behind
// the other. Only what flott needs is here: reading all records in order, uncompressed or with compression "gz" (a zlib stream).
//
// It does not write TFiles, and it does not read the other aggregation format of Hadoop ("IFile").
package tfile
