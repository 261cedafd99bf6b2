package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es/outbox"
)

func newHeld(s Service) *cobra.Command {
	cmd := group("held", "See what mappings could not publish, and skip it")
	cmd.Long = "A mapping that cannot publish an event has it held, and with it what comes after it in its stream,\n" +
		"to that mapping's topic. The rest goes on. The relay tries again by itself: correct the program and\n" +
		"start the relay anew; or skip what is never to be published."
	list := &cobra.Command{
		Use: "list", Short: "List the streams that are held, with why",
		Long: "List the streams of which a mapping could not publish an event, at which event, and why.",
		Args: arguments(0, 0),
		RunE: s.action(false, func(ctx context.Context, session *Session, _ []string) error {
			held, err := outbox.ListHeld(ctx, session.Store)
			if err != nil {
				return err
			}
			return session.Out.Document(newHeldView(held))
		}),
	}
	skip := &cobra.Command{
		Use: "skip MAPPING EVENT", Short: "Leave out an event that a mapping cannot publish",
		Long: "Leave out the event at which a mapping holds a stream, by its id. Consumers of that topic never get\n" +
			"it; those of a topic that is not sparse wait for it. The relay publishes what comes after it.",
		Args: arguments(2, 2),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			event, err := eventID(args[1])
			if err != nil {
				return err
			}
			if err := session.own(ctx); err != nil {
				return err
			}
			err = outbox.SkipHeld(ctx, session.Store, args[0], event)
			if errors.Is(err, outbox.ErrNotHeld) {
				return notFound("mapping %q holds no stream at event %s: `held list` shows those that are held", args[0], event)
			}
			if err != nil {
				return err
			}
			return session.Out.Document(skippedHeldView{Mapping: args[0], EventID: event})
		}),
	}
	cmd.AddCommand(list, skip)
	return cmd
}
