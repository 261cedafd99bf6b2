package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/projections"
)

func newRebuild(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rebuild NAME", Short: "Build a read model anew beside the live one, and switch",
		Long: "Build a read model anew from the log, beside the live one, which goes on meanwhile; verify\n" +
			"it, and switch in one transaction. Interrupted, it keeps what it has, and the next rebuild\n" +
			"goes on from there.",
		Args: arguments(1, 1), Hidden: len(s.Projections) == 0,
	}
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		return session.replace(ctx, args[0], newProgress(cmd.ErrOrStderr(), session.settings.json), (*projections.Projector).Rebuild)
	})
	return cmd
}

func newRollback(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Make the kept version of a read model live again",
		Long: "Make the kept build of this program's version of a read model live again, after it has\n" +
			"caught up from the log. Run it in a program of the older version.",
		Args: arguments(1, 1), Hidden: len(s.Projections) == 0,
	}
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		return session.replace(ctx, args[0], newProgress(cmd.ErrOrStderr(), session.settings.json), (*projections.Projector).Rollback)
	})
	return cmd
}

// replace is a rebuild or a rollback.
func (s *Session) replace(ctx context.Context, name string, shown progress, f func(*projections.Projector, context.Context, ...projections.RebuildOption) error) error {
	list, err := s.projectors(ctx, []string{name})
	if err != nil {
		return err
	}
	if err := s.own(ctx); err != nil {
		return err
	}
	began := time.Now()
	var last projections.Progress
	err = f(list[0], ctx, projections.WithProgress(func(p projections.Progress) {
		last = p
		shown.show(p)
	}))
	shown.end()
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return WithCode(ExitInterrupted, fmt.Errorf("command: interrupted after %s of %s events: what is built is kept, and the next rebuild of %s goes on from there", count(last.Done), count(last.Total), name))
		}
		return err
	}
	return s.Out.Document(newRebuildView(last, time.Since(began)))
}
