package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

func newRetry(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "retry NAME --event ID | --stream CATEGORY/ID | --key KEY | --all", DisableFlagsInUseLine: true,
		Short: "Try again what a live read model, or a reaction, has parked",
		Long: "Try again what the live build of a read model, or a reaction, has parked: an event or message\n" +
			"that begins its sequence, what is parked of a stream, or all. Of a read model --key KEY with\n" +
			"--stream chooses rows; of a reaction --key KEY is what is parked of a key that is no event.\n" +
			"What is parked is taken in order, up to the first of each sequence that fails. Run it in the\n" +
			"program that keeps the read model or has the reaction, which may go on meanwhile.\n\n" +
			namesMeant + "\n\n" +
			"The exit code is 1 when something of what was tried is parked again.",
		Args: arguments(1, 1), Hidden: len(s.Projections) == 0 && s.Reactions == nil,
	}
	flags := cmd.Flags()
	event := flags.String("event", "", "id of an event, or number of a message: the first that is parked of its sequence")
	stream := flags.String("stream", "", "a stream, as CATEGORY/ID")
	keys := flags.StringArray("key", nil, "with --stream, the key of a row; an empty one is what is parked of the stream as a whole; may be repeated. Of a reaction, the key of messages that are no events")
	all := flags.Bool("all", false, "all that is parked")
	cmd.MarkFlagsMutuallyExclusive("event", "stream", "all")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		which := what{event: *event, stream: *stream, keys: *keys, all: *all, named: flags.Changed("event") || flags.Changed("stream")}
		if !which.named && !which.all && len(which.keys) == 0 {
			return usage("say what to retry: --event ID, --stream CATEGORY/ID or --all")
		}
		if which.named && which.event == "" && which.stream == "" { // as of a variable of a script that is not set
			return usage("--event or --stream is empty: name what to retry, or give --all")
		}
		reaction, name, err := session.meant(ctx, args[0])
		switch {
		case err != nil:
			return err
		case reaction && len(which.keys) > 0 && (which.named || which.all):
			return usage("--key of a reaction is the key of messages that are no events: leave the others out")
		case reaction:
			return session.retryMessages(ctx, name, which)
		}
		try, err := which.ofProjector(ctx)
		if err != nil {
			return err
		}
		return session.retry(ctx, name, try)
	})
	return cmd
}

// what is to be retried, as the flags say.
type what struct {
	event, stream string
	keys          []string
	all           bool
	named         bool // an event or a stream, though its name may be empty
}

func (w what) ofProjector(ctx context.Context) (func(p *projections.Projector) (projections.Retried, error), error) {
	switch {
	case len(w.keys) > 0 && w.stream == "":
		return nil, usage("--key is a row of a stream: give --stream too")
	case w.all:
		return func(p *projections.Projector) (projections.Retried, error) { return p.RetryAll(ctx) }, nil
	case w.stream != "" || w.event == "":
		id, err := es.ParseStreamID(w.stream)
		if err != nil {
			return nil, usage("--stream: %w", err)
		}
		return func(p *projections.Projector) (projections.Retried, error) {
			return p.RetrySequence(ctx, id, w.keys...)
		}, nil
	default:
		id, err := eventID(w.event)
		if err != nil {
			return nil, err
		}
		return func(p *projections.Projector) (projections.Retried, error) { return p.RetryEvent(ctx, id) }, nil
	}
}

func newSkip(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "skip NAME EVENT --reason TEXT", DisableFlagsInUseLine: true,
		Short: "Leave an event out of a read model, or a message out of a reaction, for good",
		Long: "Leave an event out of a read model, now and in every build to come, and in reads as of a moment:\n" +
			"one that is parked, or that stops the projector. What waits behind it is tried again. The reason\n" +
			"is kept, and `dead-letters list` shows it. The log keeps the event. It is not undone.\n\n" +
			"An event that the read model has applied cannot be skipped, nor one while a rebuild is under way.\n\n" +
			"Of a reaction a parked message is skipped, by its number or its event's id: it is never reacted\n" +
			"to. Its payload is not kept.\n\n" + namesMeant,
		Args: arguments(2, 2), Hidden: len(s.Projections) == 0 && s.Reactions == nil,
	}
	reason := cmd.Flags().String("reason", "", "why; it is kept")
	_ = cmd.MarkFlagRequired("reason") // it fails for a flag that does not exist only
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		if strings.TrimSpace(*reason) == "" {
			return usage("--reason is empty: say why the event is skipped, for those who come after you")
		}
		reaction, name, err := session.meant(ctx, args[0])
		if err != nil {
			return err
		}
		if reaction {
			return session.skipMessage(ctx, name, args[1], *reason)
		}
		event, err := eventID(args[1])
		if err != nil {
			return err
		}
		p, err := session.writing(ctx, name)
		if err != nil {
			return err
		}
		done, err := p.Skip(ctx, event, *reason)
		if err != nil {
			return err
		}
		return session.Out.Document(skippedNowView{Projection: name, EventID: event, Reason: *reason, Applied: done.Applied, Parked: done.Parked})
	})
	return cmd
}

func (s *Session) retry(ctx context.Context, name string, try func(p *projections.Projector) (projections.Retried, error)) error {
	p, err := s.writing(ctx, name)
	if err != nil {
		return err
	}
	done, err := try(p)
	if err != nil && done == (projections.Retried{}) {
		return err
	}
	return s.retried(retriedView{Projection: name, Applied: done.Applied, Parked: done.Parked}, name, done.Parked, err)
}

// retried prints what came of a retry, which is an error when something is parked again.
func (s *Session) retried(v View, name string, parked int, err error) error {
	printed := s.Out.Document(v)
	if err != nil || printed != nil {
		return errors.Join(err, printed)
	}
	if parked > 0 {
		return WithCode(ExitFailure, fmt.Errorf("command: %s of what was tried is parked again: see why by `dead-letters list %s`, and correct the program, or skip what is never to be", count(int64(parked)), name))
	}
	return nil
}

// writing is the projector of a read model that the program has, for a command that writes.
func (s *Session) writing(ctx context.Context, name string) (*projections.Projector, error) {
	list, err := s.projectors(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	return list[0], s.own(ctx)
}
