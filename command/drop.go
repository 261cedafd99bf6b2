package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/projections"
)

func newDrop(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "drop NAME [BUILD] --yes", DisableFlagsInUseLine: true,
		Short: "Drop a kept or stopped build of a read model, or a read model that the program has no more",
		Long: "Drop a build of a read model that is kept for a rollback, or whose rebuild was stopped, with\n" +
			"its tables: `builds` lists them. The live build is not dropped.\n\n" +
			"Without BUILD, drop all builds of a read model that the program does not have any more, the\n" +
			"live one too, and take it out of the books. Stop programs that still have it before, as they\n" +
			"would build it again.\n\n" +
			"What others depend on, or somebody uses right now, is not dropped. The rows cannot be had\n" +
			"back, so it asks for --yes.",
		Args: arguments(1, 2),
	}
	yes := cmd.Flags().Bool("yes", false, "confirm that the rows may be lost")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		if len(args) == 1 {
			return session.dropProjection(ctx, args[0], *yes)
		}
		id, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return usage("build %q: give the number of one that `builds` lists", args[1])
		}
		return session.dropBuild(ctx, args[0], id, *yes)
	})
	return cmd
}

func (s *Session) dropBuild(ctx context.Context, name string, id int64, yes bool) error {
	if err := s.own(ctx); err != nil {
		return err
	}
	list, err := s.builds(ctx, name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(b projections.Build) bool { return b.ID == id })
	if i < 0 {
		return notFound("%s has no build %d: there are %s", name, id, theBuilds(list))
	}
	if list[i].State != projections.BuildLive && !yes { // a live one is refused, however it is asked for
		return usage("drop removes %s: confirm with --yes", theBuilds(list[i:i+1]))
	}
	dropped, err := projections.DropBuild(ctx, s.Store, name, id)
	if err != nil {
		return err
	}
	return s.Out.Document(newDropView(name, []projections.Build{dropped}, false))
}

func (s *Session) dropProjection(ctx context.Context, name string, yes bool) error {
	if err := s.hasNoMore(ctx, name); err != nil {
		return err
	}
	if err := s.own(ctx); err != nil {
		return err
	}
	list, err := s.builds(ctx, name)
	if err != nil {
		return err
	}
	if !yes {
		return usage("drop removes all of %s: %s: confirm with --yes", name, theBuilds(list))
	}
	dropped, err := projections.DropProjection(ctx, s.Store, name)
	if err != nil {
		return err
	}
	return s.Out.Document(newDropView(name, dropped, true))
}

// hasNoMore refuses a read model that the program has, and a program that has no code of
// the service, which cannot know.
func (s *Session) hasNoMore(ctx context.Context, name string) error {
	p, err := s.projector(ctx, name)
	switch {
	case err != nil:
		return err
	case p != nil:
		return usage("%s has the read model %q: name one of its builds, or take it out of the program before", s.service.Name, name)
	case len(s.service.Projections) == 0 && len(s.service.Aggregates) == 0:
		return usage("%s has no code of a service, and cannot know whether %q is still in use: use the service's own command, or name a build", s.service.Name, name)
	}
	return nil
}

// projector is that of a read model; nil when the program does not have it.
func (s *Session) projector(ctx context.Context, name string) (*projections.Projector, error) {
	if len(s.service.Projections) == 0 {
		return nil, nil //nolint:nilnil // none is no error here
	}
	all, err := s.projectors(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Name() == name {
			return p, nil
		}
	}
	return nil, nil //nolint:nilnil // as above
}

// theBuilds names builds, with what they take.
func theBuilds(list []projections.Build) string {
	var texts []string
	for _, b := range list {
		texts = append(texts, fmt.Sprintf("build %d (version %d, %s, %s bytes)", b.ID, b.Version, b.State, count(b.Bytes())))
	}
	return strings.Join(texts, ", ")
}
