// Package token holds Hadoop's tokens and credentials: what lets a process speak to YARN and HDFS without a password.
//
// A Token is opaque: the identifier names whom it stands for, the password proves it. Credentials are a set of tokens and secrets;
// their image is the file at HADOOP_TOKEN_FILE_LOCATION and the tokens field of a container launch context. Identifiers are
// decoded for logs and expiry only and are never encoded again, because a server's HMAC covers the exact bytes.
//
// Callers: yarn/ugi (which guards a Credentials value), yarn/ipc and yarn/sasl (one token per connection), yarn/amrm, yarn/nm and
// yarn/launch. Values are plain data for one goroutine at a time; a Token is not changed after it was made, so tokens are shared.
//
// What always holds: passwords and secrets print as ***, in every form fmt, log/slog and encoding/json know; a decoder allocates no
// more than its input justifies. It does not fetch, renew or choose among tokens of servers: that is the callers' business.
package token
