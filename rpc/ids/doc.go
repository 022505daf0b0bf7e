// Package ids holds the identifiers that every part of flott shares, each a distinct type, printed in Flink's form.
//
// All types are comparable values without behaviour beyond parsing and printing; nothing here keeps state or does I/O. Conversions to
// and from protobuf messages are in rpc/gateway.
package ids
