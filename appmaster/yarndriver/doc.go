// Package yarndriver gives the ResourceManager its workers on YARN.
//
// It owns the application's session with the YARN RM (yarn/amrm) from registration to unregistration, the containers that the YARN RM gave
// to it, and their starts at the NodeManagers (yarn/nm). It is process-scoped: one for all epochs; the ResourceManager of the newest epoch
// attaches to it, what older ones still ask for is dropped. It runs on a loop of its own (rpc/actor); calls to NodeManagers run aside.
//
// What always holds: a container is in exactly one of starting, running, leaving until YARN says that it has completed or it is given
// back unstarted; ownership follows YARN, so a completed container is gone whatever its process still does; an ask states what is
// outstanding and goes out only when that changed; containers beyond it are released unstarted; containers are matched to asks by their
// allocation request id, never by size. A node on which starts keep failing is blacklisted, but never more than a third of the nodes.
//
// It does not decide how many workers are wanted, and it does not know slots or jobs. It differs from Flink's YarnResourceManagerDriver
// (1.20) in the blacklist, and in that it survives a change of leader.
package yarndriver
