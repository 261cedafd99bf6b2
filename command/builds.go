package command

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/projections"
)

func newBuilds(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "builds [NAME…]", Short: "List what stands in the builds of read models",
		Long: "List the builds of all read models, or of those named: which is live, which is kept for a\n" +
			"rollback, which is being built; how far each has got, its tables, and what they take on disk.\n" +
			"Also of read models that the program does not have any more. Rows of large tables are\n" +
			"estimated, and have a ~ then.",
		Args: arguments(0, -1),
		RunE: s.action(false, func(ctx context.Context, session *Session, args []string) error {
			list, err := session.builds(ctx, args...)
			if err != nil {
				return err
			}
			return session.Out.Document(newBuildsView(list))
		}),
	}
}

// builds are those of some read models, each of which must have one; or of all.
func (s *Session) builds(ctx context.Context, names ...string) ([]projections.Build, error) {
	list, err := projections.Builds(ctx, s.Store, names...)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(list, func(b projections.Build) bool { return b.Projection == name }) {
			return nil, s.noBuilds(ctx, name)
		}
	}
	return list, nil
}

// noBuilds says of which read models there are builds.
func (s *Session) noBuilds(ctx context.Context, name string) error {
	all, err := projections.Builds(ctx, s.Store)
	if err != nil {
		return err
	}
	var known []string
	for _, b := range all {
		known = append(known, b.Projection)
	}
	return notFound("no builds of %q: there are those of %s", name, oneOf(slices.Compact(known)))
}
