// Package memory owns the network memory of a worker: buffers of 32 KiB outside the Go heap.
//
// bin/roles makes one Network per process; each job runtime takes a share of it as a Pool, and its exchange reserves buffers for every
// gate. All methods may be called from any goroutine and never block.
//
// The memory is one mapping, cut into slabs of 1 MiB, touched on demand and never unmapped, so that a view that outlives its buffer reads
// stale bytes but cannot crash the process. Slabs without a buffer in use give their pages back to the system when a reservation ends.
// Under the build tags race and invariants slabs come from the Go heap and buffers are poisoned when they are given back, so that a view
// that outlives its buffer is found.
//
// What always holds: a Pool never hands out more buffers than are reserved, all reservations fit in its share, all shares in the network.
package memory
