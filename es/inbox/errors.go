package inbox

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// ErrBroken: the message carries the headers of an event of Asof's, and one of them
// cannot be read. It is not acknowledged, as it may be an event that the reaction is
// for. Set it aside by a middleware, such as Watermill's PoisonQueueWithFilter.
var ErrBroken = errors.New("inbox: broken event")

// ErrForeign: the message is no event of Asof's: another system published it, as a
// CloudEvent or not.
var ErrForeign = errors.New("inbox: message of another system")

// AnotherLifeError says which life of a store a message is of, and which one the
// reaction knows. errors.Is(err, [es.ErrAnotherLife]) is true for it.
//
// The store has lost events and begun another life. The reaction may have reacted to
// events that are lost: see what it did of them, take that back, and then call
// [Inbox.Accept]. Until then messages of the new life are not acknowledged.
type AnotherLifeError struct {
	Consumer string
	Source   string
	Life     uuid.UUID // that the message is of
	Known    uuid.UUID // that the reaction is in
}

func (e *AnotherLifeError) Error() string {
	return fmt.Sprintf("inbox: %s: a message of %.100q is of life %s, and %q is in life %s: see what the reaction did of the events that the store has lost, take it back, then accept the new life (Inbox.Accept)",
		es.ErrAnotherLife, e.Source, e.Life, e.Consumer, e.Known)
}

// Is makes errors.Is(err, es.ErrAnotherLife) true.
func (e *AnotherLifeError) Is(target error) bool { return target == es.ErrAnotherLife }
