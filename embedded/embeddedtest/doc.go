// Package embeddedtest gives tests a real PostgreSQL and a Kafka broker.
//
//	func TestAppend(t *testing.T) {
//		t.Parallel()
//		pool := embeddedtest.Pool(t) // a fresh database of this test's own
//		…
//	}
//
// One server and one broker run per test process; they start when first asked
// for and end with the process, however it ends. A test that cannot have its
// database fails. Test servers do not fsync, so their data survives every
// kill -9 but not a crash of the machine. They keep it in $ASOF_TEST_DIR, by default
// below the user's cache; as root it must be one that every user may enter. In memory
// (below /dev/shm) a suite of many databases takes two thirds of the time: a database is
// 300 files, and ext4 is slow to make files where many were just removed.
//
// A test that kills, restores, replicates or upgrades takes a [Server] of its own.
package embeddedtest
