// Package resourcemanager is the ResourceManager endpoint of the AM: it knows the workers, registers them, and keeps as many of them as the
// slot manager wants.
//
// It owns the list of workers of one epoch, their registrations and streams, and the slot manager. JobMasters declare their requirements
// to it, workers register at it, the [Driver] tells it what becomes of containers; REST reads its views. Everything runs on one loop
// (rpc/actor); streams are read by a goroutine each, which only posts. A new epoch gets a new ResourceManager, which attaches to the same
// driver and starts from the workers that the driver owns.
//
// What always holds: only a worker that the driver has announced is registered, any other is rejected for good and its process ends; a
// registration is answered with success only when the stream to the worker is open; a newer registration of a worker replaces an older
// one, and messages of a stream that is not the worker's current one are dropped; workers asked for, starting and registered together are
// never more than the slot manager wants, except while surplus ones are being released.
//
// It does not know YARN, nor what runs in a slot. It mirrors Flink's ResourceManager and ActiveResourceManager (1.20); it differs in that a
// worker counts only from its first inventory, which is the first message on the stream.
package resourcemanager
