package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/projections"
)

func newVerify(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "verify NAME", Short: "Compare what a read model has applied with the log",
		Long: "Compare which events each build of a read model has applied with those of the log, by\n" +
			"category, and say what differs. Nothing is changed, and all go on meanwhile. What somebody\n" +
			"has changed in the rows by hand is not seen: `rebuild` compares rows.\n\n" +
			"Of a build that Kafka feeds, the events after its position that Kafka has brought are\n" +
			"compared too. Of a read model that the program does not have, or has with another DDL or\n" +
			"other categories, those categories are compared that the build has events of.\n\n" +
			"The exit code is 1 when something differs.",
		Args: arguments(1, 1),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			list, err := session.verify(ctx, args[0])
			if errors.Is(err, projections.ErrNotBuilt) {
				return session.noBuilds(ctx, args[0])
			}
			if err != nil {
				return err
			}
			view := newVerifyView(args[0], list)
			if err := session.Out.Document(view); err != nil || view.Same {
				return err
			}
			return WithCode(ExitFailure, fmt.Errorf("command: %s of %d builds of %s do not agree with the log: rebuild it if the live one is among them; drop the others", count(view.differing()), len(list), args[0]))
		}),
	}
}

func (s *Session) verify(ctx context.Context, name string) ([]projections.Verification, error) {
	p, err := s.projector(ctx, name)
	if err != nil {
		return nil, err
	}
	if p != nil {
		return p.Verify(ctx)
	}
	return projections.Verify(ctx, s.Store, s.Store, name)
}
