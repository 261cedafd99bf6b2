// Package outbox is the relay: it publishes the log of a store to Kafka.
//
//	relay := outbox.New(store, client, "/orders")
//	err := relay.Run(ctx) // until ctx ends
//
// The log itself is the outbox. What a transaction appends is published if and when
// it commits, and there is no second table to write. Every category is a topic of
// its own, the stream's id is the key, and headers follow the CloudEvents binding
// for Kafka (see [kafka.FromEvent]). They say which stream an event is of: a topic may be
// copied to one of any name.
//
// # What is promised
//
//   - Every event is published at least once, whatever fails: the relay goes on from
//     a checkpoint that moves only after Kafka has acknowledged.
//   - The first occurrences of a key's events come in the order of their versions,
//     through every retry, restart and takeover. After a crash some may be repeated,
//     older ones after newer ones; a consumer drops those whose version it has seen.
//   - One relay is active at a time. Any number may run: the others wait for its
//     lease, and go on at once when it stops cleanly, or within the lease time when
//     it was killed or stands still. One that wakes up after that may repeat what it
//     was just publishing, but cannot move the checkpoint.
//   - A topic keeps the number of partitions that it was made with. Another number
//     would send the events of a key to another partition, out of order, so it is
//     refused with [ErrPartitions].
//   - Where synchronous_standby_names is set, nothing is published that a failover
//     takes back. While too few standbys are there the relay waits, and [Status] says
//     so; its role must be a member of pg_monitor.
//   - After a restore of the database the relay refuses to go on, with
//     [ErrRestored], until [Repair] says from where: Kafka may have events that the
//     database has lost. A relay that runs or waits meanwhile notices what it has seen
//     and the log has not, and leaves that behind for those that start later. To a
//     relay that starts later alone a restore shows by another timeline, system
//     identifier or table; a data directory that is put back as it was, without
//     recovery, has none of these, and is not noticed.
//   - Every message carries the life of the store, in the header ce_life: after events
//     were lost it is another (see [EventsLost]).
//
// [ReadStatus] tells how far the relay has got, who runs it and what holds it up.
package outbox
