package projections

import "github.com/asof-dev/asof/projections/internal/fault"

var (
	// ErrInvalid: the definition or an option does not fit. The text says what to
	// change.
	ErrInvalid = fault.ErrInvalid
	// ErrNewerVersion: the live read model is of a newer version than this program's.
	// Deploy the newer program, or roll back.
	ErrNewerVersion = fault.ErrNewerVersion
	// ErrRolledBack: another process made an older version live while this one ran.
	// Restart this program to build its version again.
	ErrRolledBack = fault.ErrRolledBack
	// ErrBusy: another process rebuilds the projection, or uses what is to be dropped.
	ErrBusy = fault.ErrBusy
	// ErrDependents: views, functions or foreign keys elsewhere depend on the tables, and
	// would go on with the old ones or be dropped with them. Drop them before; after a
	// rebuild, make them again.
	ErrDependents = fault.ErrDependents
	// ErrLive: a build is live, and a single build is dropped only when it is not.
	ErrLive = fault.ErrLive
	// ErrByHand: somebody has put something on the live tables, such as a policy, a trigger
	// or an index, that the rebuilt ones would not have. The text names it.
	ErrByHand = fault.ErrByHand
	// ErrNotBuilt: the projection has no live read model. Run or Rebuild makes it.
	ErrNotBuilt = fault.ErrNotBuilt
	// ErrVerify: the rebuilt tables do not account for the log. The live ones stay.
	ErrVerify = fault.ErrVerify

	// ErrRetry makes an error of a codec or of TryApply one that passes: the batch is tried
	// again, and nothing is parked. [es.ErrNewerSchema] is one by itself: a newer program
	// reads the event.
	ErrRetry = fault.ErrRetry
	// ErrTooManyParked: more cannot be applied than may be parked (see [WithParked]), as
	// with a program that is wrong. Nothing of the batch was written.
	ErrTooManyParked = fault.ErrTooManyParked
	// ErrTooManyGaps: more streams lack events than a read model waits for, as with a topic
	// that has lost its data. Rebuild it once the topic is whole.
	ErrTooManyGaps = fault.ErrTooManyGaps
	// ErrNoLog: what was asked for needs the log, and the read model is fed from Kafka
	// alone.
	ErrNoLog = fault.ErrNoLog
	// ErrTopicLost: a topic does not have (any more) what the read model needs of it. The
	// text says which, and what to do.
	ErrTopicLost = fault.ErrTopicLost
)

// EventError names an event that a projection could not apply, and did not park. Nothing
// of its batch was written. Its fields: Projection (name) and Version of the projection,
// Event, an [es.Recorded], and Err, what went wrong, which Unwrap returns too.
type EventError = fault.EventError
