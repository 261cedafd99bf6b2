// Package command gives a service its operator's commands, as a cobra tree that
// it mounts in its own binary.
//
//	func main() {
//		command.Main(command.New(command.Service{
//			Name:        "orders",
//			Migrations:  []migrations.Set{{Schema: "orders", Files: files, Dir: "sql"}},
//			Aggregates:  []command.Aggregate{command.AggregateOf(order.Decider)},
//			Projections: []projections.Definition{order.Summary},
//		}))
//	}
//
// The binary then has:
//
//	orders migrate [up|down|status]   create, upgrade or remove the tables
//	orders status                     streams, log, who holds it back, relay, projections
//	orders rebuild NAME               build a read model anew beside the live one, and switch
//	orders rollback NAME              make the kept version of a read model live again
//	orders pause NAME                 stop the projectors of a read model, wherever they run
//	orders resume NAME                let them go on
//	orders rewind NAME --to POSITION  make a read model what it was, and pause it
//	orders builds [NAME…]             what stands in the builds of read models
//	orders drop NAME [BUILD]          drop a kept build, or a read model that the code has no more
//	orders verify NAME                compare what a read model has applied with the log
//	orders dead-letters list|show     what read models could not apply, and why
//	orders dead-letters retry|skip    try it again, or leave it out for good
//	orders state CATEGORY ID          the state of a stream, now or as of a moment
//	orders log [CATEGORY [ID]]        the events
//	orders relay                      publish the log to Kafka until stopped
//	orders project [NAME…]            keep the read models until stopped
//
// Commands of its own, such as one that serves HTTP, get the same flags and a
// [Session] by [Service.Action].
//
// # Settings
//
// DATABASE_URL or --database-url names the service's database, KAFKA_BROKERS or
// --brokers (host:port, separated by commas) its brokers. Where a part of the
// URL is missing, the variables of PostgreSQL's own programs (PGHOST, PGPASSWORD
// …) fill it. Passwords are never printed.
//
// # Output
//
// Results go to the standard output; logs, progress and errors to the standard
// error. With --output json a result is one JSON document, what has no end is one
// JSON document a line, and so are logs, progress and errors:
//
//	{"error":{"kind":"not_found","code":3,"message":"…"}}
//
// Field names do not change between versions; new ones may come.
//
// # Exit codes
//
// They are the Exit constants of this package and do not change either:
//
//	0    done
//	1    failed, for a reason that none of the others covers
//	2    wrong use: a command, flag, argument or setting
//	3    not found: a stream, a projection, a category, a version
//	4    not possible now: another process is at it, a conflict, a moment not yet past
//	5    the database or the brokers cannot be reached
//	6    the tables are missing, or older than the program: migrate first
//	130  interrupted before the work was done
//
// What runs until it is stopped (relay, project, log --follow) ends with 0 when it
// is stopped. The first SIGINT or SIGTERM stops gracefully, the second at once.
package command
