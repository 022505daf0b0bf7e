// Package control tests what crosses between our processes: that every control method and every message of every stream is fenced and
// typed, against real endpoints over loopback gRPC; and that a whole application keeps its promises to YARN, real processes on the fake
// YARN of yarn/yarntest.
//
// It has tests only and needs no Hadoop. kinds_test.go compares the tables of the tests with the protobuf descriptors: a method, or a kind
// of message, that none of them refuses a stale epoch, an unknown worker and a replay of, fails.
package control
