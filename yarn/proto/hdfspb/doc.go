// Package hdfspb holds the messages of the NameNode's metadata protocol that flott calls,
// generated from the .proto files beside it (go run -C bin/devtools ./protogen).
//
// Proto package and path are renamed (flott.hadoop.hdfs), because github.com/colinmarc/hdfs registers Hadoop's own names and a
// second registration panics at start. Names are not on Hadoop's wire; field numbers are those of Hadoop 3.5.0, readable
// by 3.3 and 3.4. Proto2 defaults matter: the getters return them, so an absent exit status reads as -1000, not 0.
// The services describe methods only; they have no gRPC code. Callers: yarn/ipc, the typed clients beside it, yarn/yarntest.
package hdfspb
