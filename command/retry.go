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
		Use: "retry NAME --event ID | --stream CATEGORY/ID [--key KEY] | --all", DisableFlagsInUseLine: true,
		Short: "Try again what a live read model has parked",
		Long: "Try again what the live build of a read model has parked: an event that begins its sequence, what\n" +
			"is parked of a stream, for all rows or those of --key, or all. Events are applied in order, up\n" +
			"to the first of each sequence that fails. Run it in the program that keeps the read model, which\n" +
			"may go on meanwhile.\n\n" +
			"The exit code is 1 when something of what was tried is parked again.",
		Args: arguments(1, 1), Hidden: len(s.Projections) == 0,
	}
	flags := cmd.Flags()
	event := flags.String("event", "", "id of an event: the first that is parked of its sequence")
	stream := flags.String("stream", "", "a stream, as CATEGORY/ID")
	keys := flags.StringArray("key", nil, "with --stream, the key of a row; an empty one is what is parked of the stream as a whole; may be repeated")
	all := flags.Bool("all", false, "all that is parked")
	cmd.MarkFlagsMutuallyExclusive("event", "stream", "all")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		var try func(p *projections.Projector) (projections.Retried, error)
		switch {
		case flags.Changed("key") && *stream == "":
			return usage("--key is a row of a stream: give --stream too")
		case flags.Changed("event"):
			id, err := eventID(*event)
			if err != nil {
				return err
			}
			try = func(p *projections.Projector) (projections.Retried, error) { return p.RetryEvent(ctx, id) }
		case flags.Changed("stream"):
			id, err := es.ParseStreamID(*stream)
			if err != nil {
				return usage("--stream: %w", err)
			}
			try = func(p *projections.Projector) (projections.Retried, error) { return p.RetrySequence(ctx, id, *keys...) }
		case *all:
			try = func(p *projections.Projector) (projections.Retried, error) { return p.RetryAll(ctx) }
		default:
			return usage("say what to retry: --event ID, --stream CATEGORY/ID or --all")
		}
		return session.retry(ctx, args[0], try)
	})
	return cmd
}

func newSkip(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "skip NAME EVENT --reason TEXT", DisableFlagsInUseLine: true,
		Short: "Leave an event out of a read model, for good",
		Long: "Leave an event out of a read model, now and in every build to come, and in reads as of a moment:\n" +
			"one that is parked, or that stops the projector. What waits behind it is tried again. The reason\n" +
			"is kept, and `dead-letters list` shows it. The log keeps the event. It is not undone.\n\n" +
			"An event that the read model has applied cannot be skipped, nor one while a rebuild is under way.",
		Args: arguments(2, 2), Hidden: len(s.Projections) == 0,
	}
	reason := cmd.Flags().String("reason", "", "why; it is kept")
	_ = cmd.MarkFlagRequired("reason") // it fails for a flag that does not exist only
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		event, err := eventID(args[1])
		if err != nil {
			return err
		}
		if strings.TrimSpace(*reason) == "" {
			return usage("--reason is empty: say why the event is skipped, for those who come after you")
		}
		p, err := session.writing(ctx, args[0])
		if err != nil {
			return err
		}
		done, err := p.Skip(ctx, event, *reason)
		if err != nil {
			return err
		}
		return session.Out.Document(skippedNowView{Projection: args[0], EventID: event, Reason: *reason, Applied: done.Applied, Parked: done.Parked})
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
	printed := s.Out.Document(retriedView{Projection: name, Applied: done.Applied, Parked: done.Parked})
	if err != nil || printed != nil {
		return errors.Join(err, printed)
	}
	if done.Parked > 0 {
		return WithCode(ExitFailure, fmt.Errorf("command: %s of what was tried is parked again: see why by `dead-letters list %s`, and correct the program, or skip what is never to be applied", count(int64(done.Parked)), name))
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
