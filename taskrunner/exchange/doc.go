// Package exchange moves records between tasks: by reference inside a process, in frames over TCP between processes.
//
// One Exchange belongs to one job runtime, that is to one job on one worker. A producing task opens a Partition with one Port per
// consuming subtask; a consuming task opens a Gate over all its channels. The exchange knows batches only as something that can be
// encoded, and events only as bytes; package task connects it with operator, which it never imports.
//
// Goroutines: a Partition and its Ports belong to the producing task's goroutine, a Gate to the consuming task's; both must not block in
// Wake. Each connection has a reading and a writing goroutine, the exchange one for accepting and one for the buffer timeout; Close waits
// for all of them.
//
// What always holds: a channel delivers in order, exactly once, or fails; data crosses a connection only against credit, so that the
// reader of a connection never waits for a task; at most queueLimit sealed batches wait in a port; a failed connection fails exactly the
// channels on it; there is no reconnecting, the region restarts.
//
// Locks are taken in the order Exchange, Port, then one of Gate or connection; none is held during I/O.
//
// The wire (all numbers little endian). Each frame has a header of 20 bytes:
//
//	0  version    1
//	1  kind       1 hello, 2 welcome, 3 request, 4 data, 5 event, 6 credit, 7 cancel, 8 error
//	2  flags      data: 1 records have times; 2 a fragment comes before, 4 a fragment follows (of one record larger than a frame)
//	3  backlog    data: batches and events still queued, at most 255
//	4  channel    number that the consuming side chose; 0 for hello, welcome, and an error of the whole connection
//	8  sequence   data and event: counts from 0 in each channel
//	12 length     of the payload
//	16 checksum   CRC32C of bytes 0–15 and the payload
//
// Semantics follow Flink 1.20's credit-based flow (NettyMessage, PartitionRequestQueue, CreditBasedPartitionRequestClientHandler); the
// bytes are our own.
package exchange
