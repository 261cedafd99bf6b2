package command

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

func newPause(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pause NAME --reason TEXT", DisableFlagsInUseLine: true,
		Short: "Apply nothing more to a read model until it is resumed",
		Long: "Stop the projectors of a read model, wherever they run: when the command has ended, nothing\n" +
			"is applied to the live read model any more, until `resume`. Readers see it as it is then.\n" +
			"Rebuilds, rollbacks and retries go on, since somebody asks for them.",
		Args: arguments(1, 1),
	}
	reason := cmd.Flags().String("reason", "", "why, for others to see in status")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		if *reason == "" {
			return usage("say why %s is paused: --reason TEXT", args[0])
		}
		if err := session.own(ctx); err != nil {
			return err
		}
		err := projections.Pause(ctx, session.Store, args[0], *reason)
		if errors.Is(err, projections.ErrNotBuilt) {
			return session.noBuilds(ctx, args[0])
		}
		if err != nil {
			return err
		}
		return session.Out.Document(pauseView{Projection: args[0], Paused: true, Changed: true})
	})
	return cmd
}

func newResume(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "resume NAME", Short: "Go on with a read model that was paused or rewound",
		Long: "Let the projectors of a read model that was paused or rewound go on, from where it is.",
		Args: arguments(1, 1),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			if err := session.own(ctx); err != nil {
				return err
			}
			if _, err := session.builds(ctx, args[0]); err != nil {
				return err
			}
			was, err := projections.Resume(ctx, session.Store, args[0])
			if err != nil {
				return err
			}
			return session.Out.Document(pauseView{Projection: args[0], Changed: was})
		}),
	}
}

func newRewind(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rewind NAME --to POSITION", DisableFlagsInUseLine: true,
		Short: "Make a read model what it was at a position of the log, and pause it",
		Long: "Build a read model anew up to a position of the log, beside the live one; switch, and leave\n" +
			"it paused: all readers see it as it was then. `resume` lets it go on from there. The old\n" +
			"build is kept; to look at a moment without others seeing it, read as of it in the program.",
		Args: arguments(1, 1), Hidden: len(s.Projections) == 0,
	}
	to := cmd.Flags().String("to", "", "the position of the last event that is applied")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		position, err := strconv.ParseInt(*to, 10, 64)
		if err != nil || position < 0 {
			return usage("--to %q: give the position of the last event that is applied, 0 or more: `log` shows them", *to)
		}
		rewind := func(p *projections.Projector, ctx context.Context, options ...projections.RebuildOption) error {
			return p.Rewind(ctx, es.Position(position), options...)
		}
		return session.replace(ctx, args[0], newProgress(cmd.ErrOrStderr(), session.settings.json), rewind)
	})
	return cmd
}
