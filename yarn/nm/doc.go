// Package nm starts, stops and inspects containers at NodeManagers.
//
// It mirrors the client side of org.apache.hadoop.yarn.api.ContainerManagementProtocol (Hadoop 3.3 to 3.5).
//
// Client groups requests by node, talks to a bounded number of nodes at once and to each with that node's NM token.
// Its methods block until every request has a result; a caller that must not block gives each call a goroutine. Each
// result is reported as soon as its node has answered, one at a time, so a silent node delays only its own.
//
// What always holds: every request gets exactly one result. "Started" means accepted: that localisation or the launch
// failed arrives later as a completed status through the YARN RM. Starting twice is safe: after a call whose outcome
// is unknown the node is asked what it runs, and what it already runs counts as started.
//
// Not here: which containers to start where (appmaster/yarndriver), what they run (yarn/launch), the token cache
// (yarn/amrm). Containers that were refused are not released here.
package nm
