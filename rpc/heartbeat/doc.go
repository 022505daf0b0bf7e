// Package heartbeat decides whether a peer is alive. A Monitor is pure: time comes as an argument, so it lives on its owner's loop, which
// asks it at Next. It mirrors Flink's HeartbeatMonitor (1.20): any message from the peer resets the timer; silence for the timeout, or a
// number of consecutive failures to reach the peer, ends it for good. A monitor that has ended stays so; a new connection gets a new one.
package heartbeat
