// Package ha says what high availability means to the rest: who leads (Election), where the leader is (Retrieval), how jobs ended
// (ResultStore) and which jobs there are (JobStore); and it holds the implementations without ZooKeeper ("standalone"). The ones with
// ZooKeeper are in zkha. Mirrors Flink's LeaderElectionService, LeaderRetrievalService, JobResultStore and ExecutionPlanStore (1.20),
// with one epoch per application instead of a session id per component, and a third leadership event, Hold.
//
// Leadership is a sequence of events to one Contender, in order, one at a time:
//
//	Grant(e1) ─→ Hold(e1) ─→ Grant(e2)      the held epoch ends without Revoke: new components adopt what runs
//	Grant(e1) ─→ Revoke(e1) ─→ Grant(e2)    somebody may have led between
//	Grant(e1) ─→ Revoke(e1, Exit)           a higher attempt of the application leads: the process ends
//
// Hold means that ZooKeeper is lost without proof of a successor: the contender goes on under e1, but writes, deploys and accepts
// nothing. Epochs grow and are never reused.
//
// A durable write and the end of leadership race; the write loses:
//
//	dispatcher: all tasks finished → Store(result) ──────────────→ guard: e1 is held → rpc.ErrOnHold, nothing written
//	election:                            Hold(e1) ──→ loop
//
// Standalone epochs are attemptId<<32 + grant: YARN counts the attempts, so a later attempt's are higher. Nothing fences an earlier
// attempt's process out of HDFS then, except that files are created once and never overwritten.
package ha
