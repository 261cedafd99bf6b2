package command

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/projections"
)

func newDeadLetters(s Service) *cobra.Command {
	cmd := group("dead-letters", "See what read models have parked, and retry or skip it")
	cmd.Long = "A read model parks an event that it cannot read or apply, and what comes after it in its\n" +
		"sequence: the events of that stream that touch the same row. The rest goes on. See why, correct\n" +
		"the program and retry; or skip what is never to be applied."
	cmd.AddCommand(newParked(s), newShow(s), newRetry(s), newSkip(s))
	return cmd
}

func newParked(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "list [NAME…]", Short: "List what is parked and what is skipped",
		Long: "List what the builds of all read models have parked, or of those named, by sequence, with why or\n" +
			"behind which version of the stream it waits; and the events that are skipped. KEY is the row;\n" +
			"without one it is the event as a whole. Also of read models that the program does not have.",
		Args: arguments(0, -1),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			return session.listParked(ctx, args)
		}),
	}
}

func newShow(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME EVENT", Short: "Show a parked event with its payload",
		Long: "Show a parked event: why it is parked, of each build and row, its metadata and its payload. What\n" +
			"is neither JSON nor text stands in base64; with --output json, as data_base64, also text.",
		Args: arguments(2, 2),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			event, err := eventID(args[1])
			if err != nil {
				return err
			}
			return session.showParked(ctx, args[0], event)
		}),
	}
}

func (s *Session) listParked(ctx context.Context, names []string) error {
	parked, err := projections.ListParked(ctx, s.Store, names...)
	if err != nil {
		return err
	}
	skipped, err := projections.ListSkipped(ctx, s.Store, names...)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.ContainsFunc(parked, func(p projections.ParkedEvent) bool { return p.Projection == name }) {
			continue
		}
		if _, err := s.builds(ctx, name); err != nil {
			return err
		}
	}
	return s.Out.Document(newDeadLettersView(parked, skipped))
}

func (s *Session) showParked(ctx context.Context, name string, event uuid.UUID) error {
	list, err := projections.ShowParked(ctx, s.Store, name, event)
	if errors.Is(err, projections.ErrNotParked) {
		return s.notParked(ctx, name, event, err)
	}
	if err != nil {
		return err
	}
	all, err := projections.ListParked(ctx, s.Store, name)
	if err != nil {
		return err
	}
	return s.Out.Document(newShownView(list, headsOf(all)))
}

// notParked says where an event is that is not parked.
func (s *Session) notParked(ctx context.Context, name string, event uuid.UUID, why error) error {
	if _, err := s.builds(ctx, name); err != nil {
		return err
	}
	skipped, err := projections.ListSkipped(ctx, s.Store, name)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(skipped, func(k projections.Skipped) bool { return k.Event == event }); i >= 0 {
		return notFound("%s has not parked event %s, but skips it since %s: %s: the log has it", name, event, moment(skipped[i].At), skipped[i].Reason)
	}
	return why
}

func eventID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return id, usage("event %q is no id: give one that `dead-letters list` shows", text)
	}
	return id, nil
}
