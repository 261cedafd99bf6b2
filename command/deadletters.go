package command

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/projections"
)

func newDeadLetters(s Service) *cobra.Command {
	cmd := group("dead-letters", "See what read models and reactions have parked, and retry or skip it")
	cmd.Long = "A read model parks an event that it cannot read or apply, and what comes after it in its\n" +
		"sequence: the events of that stream that touch the same row. A reaction parks a message that it\n" +
		"fails with, and what comes after it of the stream, or of the key. The rest goes on. See why,\n" +
		"correct the program and retry; or skip what is never to be.\n\n" + namesMeant
	cmd.AddCommand(newParked(s), newShow(s), newRetry(s), newSkip(s))
	return cmd
}

func newParked(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "list [NAME…]", Short: "List what is parked and what is skipped",
		Long: "List what the builds of all read models have parked, or of those named, by sequence, with why or\n" +
			"behind which version of the stream it waits; and the events that are skipped. KEY is the row;\n" +
			"without one it is the event as a whole. Below it the messages that reactions have parked, and\n" +
			"those that they skip. Also of read models and reactions that the program does not have. A NAME\n" +
			"lists both that have it.",
		Args: arguments(0, -1),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			return session.listParked(ctx, args)
		}),
	}
}

func newShow(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME EVENT", Short: "Show a parked event or message with its payload",
		Long: "Show a parked event: why it is parked, of each build and row, its metadata and its payload. What\n" +
			"is neither JSON nor text stands in base64; with --output json, as data_base64, also text. A\n" +
			"message of a reaction is named by its number, or by its event's id.\n\n" + namesMeant,
		Args: arguments(2, 2),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			reaction, name, err := session.meant(ctx, args[0])
			if err != nil {
				return err
			}
			if reaction {
				return session.showMessage(ctx, name, args[1])
			}
			event, err := eventID(args[1])
			if err != nil {
				return err
			}
			return session.showParked(ctx, name, event)
		}),
	}
}

func (s *Session) listParked(ctx context.Context, names []string) error {
	models, reacting, err := s.listed(ctx, names)
	if err != nil {
		return err
	}
	v := newDeadLettersView(nil, nil)
	if len(names) == 0 || len(models) > 0 {
		parked, err := projections.ListParked(ctx, s.Store, models...)
		if err != nil {
			return err
		}
		skipped, err := projections.ListSkipped(ctx, s.Store, models...)
		if err != nil {
			return err
		}
		v = newDeadLettersView(parked, skipped)
	}
	if len(names) == 0 || len(reacting) > 0 {
		parked, err := reactions.ListParked(ctx, s.Store, reacting...)
		if err != nil {
			return err
		}
		skipped, err := reactions.ListSkipped(ctx, s.Store, reacting...)
		if err != nil {
			return err
		}
		v.addMessages(parked, skipped)
	}
	return s.Out.Document(v)
}

// listed says which names are of read models and which of reactions; each is of one, or of
// both.
func (s *Session) listed(ctx context.Context, names []string) (models, reacting []string, err error) {
	if len(names) == 0 {
		return nil, nil, nil
	}
	known, err := s.reactionNames(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		model, asModel := strings.CutPrefix(name, asProjection)
		reaction, asOther := strings.CutPrefix(name, asReaction)
		is := slices.Contains(known, reaction)
		switch {
		case asOther && !is:
			return nil, nil, notFound("no reaction %q has parked anything: there are %s", reaction, oneOf(known))
		case is && !asModel:
			reacting = append(reacting, reaction)
		}
		if asOther {
			continue
		}
		switch _, err := s.builds(ctx, model); {
		case err == nil:
			models = append(models, model)
		case !is || ExitCode(err) != ExitNotFound:
			return nil, nil, err
		}
	}
	return models, reacting, nil
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
