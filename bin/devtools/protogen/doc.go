// Command protogen generates the Go code of every .proto file of the repository, without protoc: protocompile parses, and the
// plugins protoc-gen-go and protoc-gen-go-grpc that go.mod pins write the code.
//
//	go run -C bin/devtools ./protogen                 # all
//	go run -C bin/devtools ./protogen rpc/proto       # only files below rpc/proto
//	go run -C bin/devtools ./protogen -check          # write nothing, fail when committed code is stale
//
// Rules for a .proto file, checked here:
//   - it is imported as "flott/<path from the repository root>", for example "flott/rpc/proto/dispatcher.proto";
//   - its go_package is a folder of the module ("github.com/flott-dev/flott/rpc/pb"); the generated code goes there;
//   - edition "2023" or older (the parser does not know 2024 yet; the opaque API is on anyway);
//   - its package begins with "flott.". The renamed Hadoop messages are in "flott.hadoop.": their services describe
//     Hadoop's own wire and get no gRPC code. Every other service does.
//
// All code uses the opaque API. The same input always yields the same bytes.
package main
