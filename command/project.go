package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/projections"
)

func newProject(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "project [NAME…]", Short: "Keep the read models, all or those named, until stopped",
		Args: arguments(0, -1), Hidden: len(s.Projections) == 0,
	}
	cmd.RunE = s.action(true, func(ctx context.Context, session *Session, args []string) error {
		return session.project(ctx, args)
	})
	return cmd
}

func (s *Session) project(ctx context.Context, names []string) error {
	projectors, err := s.projectors(names)
	if err != nil {
		return err
	}
	if _, err := s.Store.Status(ctx); err != nil { // Run would try for ever what only an operator can mend
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range projectors {
		group.Go(func() error { return p.Run(ctx) })
	}
	return group.Wait()
}

// projectors are those of the given names, in that order; all when none is given.
func (s *Session) projectors(names []string, options ...projections.Option) ([]*projections.Projector, error) {
	options = append([]projections.Option{projections.WithLogger(s.Log)}, options...)
	known := map[string]*projections.Projector{}
	var all []string
	for _, definition := range s.service.Projections {
		p := projections.New(s.Store, definition, options...)
		known[p.Name()] = p
		all = append(all, p.Name())
	}
	if len(all) == 0 {
		return nil, notFound("%s has no projections, which are code: use the service's own command", s.service.Name)
	}
	if len(names) == 0 {
		names = all
	}
	var list []*projections.Projector
	for _, name := range names {
		p, ok := known[name]
		if !ok {
			slices.Sort(all)
			return nil, notFound("no projection %q: known are %s", name, strings.Join(all, ", "))
		}
		list = append(list, p)
	}
	return list, nil
}
