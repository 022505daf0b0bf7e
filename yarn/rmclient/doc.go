// Package rmclient asks the YARN ResourceManager what a client may ask: new applications, submission, reports, ending, queues, nodes
// (Java: org.apache.hadoop.yarn.client.api.YarnClient over ApplicationClientProtocol, 3.5.0).
//
// Callers are bin/cli, yarn/staging's sweep and, to check sizes before asking, appmaster; from any goroutine. The package starts none of its own:
// a method runs on its caller's and ends by its context at the latest. It translates the wire to plain values.
//
// What always holds: a call whose YARN RM is down ends within Config.Patience, in one sentence that names the addresses; with
// several addresses (high availability) the active one is found on the way; a lost submission is submitted again, under the same id.
// An error of the YARN RM keeps its Java class (ipc.RemoteError) and matches the errors of yarn/ipc.
//
// It does not stage files, build launch contexts (yarn/launch), or talk as an ApplicationMaster (yarn/amrm). On clusters with Kerberos the
// identity will come with the ipc.Peer; nothing here changes.
package rmclient
