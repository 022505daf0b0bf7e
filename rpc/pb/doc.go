// Package pb is the generated Go code of rpc/proto: the messages and services that flott's own processes speak. It is written by
// `go run -C bin/devtools ./protogen`; change the .proto files, not this folder. Only rpc may use the gRPC half.
package pb
