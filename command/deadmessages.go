package command

import (
	"context"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/reactions"
)

// number finds the parked message of a reaction that is named by its number, or by its
// event's id.
func (s *Session) number(ctx context.Context, reaction, text string) (int64, error) {
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number, nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return 0, usage("message %q is neither a number nor an event's id: give one that `dead-letters list` shows", text)
	}
	list, err := reactions.ListParked(ctx, s.Store, reaction)
	if err != nil {
		return 0, err
	}
	var found []int64
	for _, p := range list {
		if p.EventID == id {
			found = append(found, p.Number)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, notFound("%s has not parked event %s", reaction, id)
	default: // of several sources, or parts of one
		return 0, usage("%s has parked %d messages of event %s: give the number of one, which `dead-letters list` shows", reaction, len(found), id)
	}
}

func (s *Session) showMessage(ctx context.Context, reaction, text string) error {
	names, err := s.reactionNames(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(names, reaction) {
		return notFound("no reaction %q has parked anything: there are %s", reaction, oneOf(names))
	}
	number, err := s.number(ctx, reaction, text)
	if err != nil {
		return err
	}
	parked, err := reactions.ShowParked(ctx, s.Store, reaction, number)
	if err != nil {
		return err
	}
	return s.Out.Document(newShownMessageView(parked))
}

// retryMessages tries again what a reaction has parked.
func (s *Session) retryMessages(ctx context.Context, reaction string, which what) error {
	r, err := s.reactor(ctx, reaction)
	if err != nil {
		return err
	}
	done, err := s.retryWhich(ctx, r, which)
	if err != nil && done == (reactions.Retried{}) {
		return err
	}
	return s.retried(retriedMessagesView{Reaction: reaction, Reacted: done.Reacted, Parked: done.Parked}, reaction, done.Parked, err)
}

func (s *Session) retryWhich(ctx context.Context, r *reactions.Reactor, which what) (reactions.Retried, error) {
	switch {
	case len(which.keys) > 0 && (which.stream != "" || len(which.keys) > 1):
		return reactions.Retried{}, usage("--key is the key of messages that are no events: give one, and no --stream")
	case which.event != "":
		number, err := s.number(ctx, r.Name(), which.event)
		if err != nil {
			return reactions.Retried{}, err
		}
		return r.RetryMessage(ctx, number)
	case which.stream != "":
		id, err := es.ParseStreamID(which.stream)
		if err != nil {
			return reactions.Retried{}, usage("--stream: %w", err)
		}
		return r.RetryStream(ctx, id)
	case len(which.keys) > 0:
		return r.RetryKey(ctx, which.keys[0])
	case which.all:
		return r.RetryAll(ctx)
	default:
		return reactions.Retried{}, usage("say what to retry: --event ID, --stream CATEGORY/ID, --key KEY or --all")
	}
}

func (s *Session) skipMessage(ctx context.Context, reaction, text, reason string) error {
	r, err := s.reactor(ctx, reaction)
	if err != nil {
		return err
	}
	number, err := s.number(ctx, reaction, text)
	if err != nil {
		return err
	}
	done, err := r.Skip(ctx, number, reason)
	if err != nil {
		return err
	}
	return s.Out.Document(skippedMessageNowView{Reaction: reaction, Message: number, Reason: reason, Reacted: done.Reacted, Parked: done.Parked})
}
