package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/projections"
)

func newProject(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "project [NAME…]", Short: "Keep the read models, all or those named, until stopped",
		Long: "Keep the read models, all or those named, until stopped: build what is missing or of an\n" +
			"older version, then follow the events. Any number may run. One that stops leaves the\n" +
			"others running; status shows why.\n\n" +
			"From Kafka, a row that is fed by several streams is right only if the order of their\n" +
			"events does not matter to it.",
		Args: arguments(0, -1), Hidden: len(s.Projections) == 0,
	}
	from := cmd.Flags().String("from", fromLog, "where the events come from: log or kafka")
	cmd.RunE = s.action(true, func(ctx context.Context, session *Session, args []string) error {
		return session.project(ctx, args, *from)
	})
	return cmd
}

// Values of --from.
const (
	fromLog   = "log"
	fromKafka = "kafka"
)

func (s *Session) project(ctx context.Context, names []string, from string) error {
	options, err := s.from(ctx, from)
	if err != nil {
		return err
	}
	projectors, err := s.projectors(ctx, names, options...)
	if err != nil {
		return err
	}
	if err := s.own(ctx); err != nil { // also that the tables are there, which only an operator can mend
		return err
	}
	return projections.RunAll(ctx, projectors...)
}

func (s *Session) from(ctx context.Context, from string) ([]projections.Option, error) {
	switch from {
	case fromLog:
		return nil, nil
	case fromKafka:
		client, err := s.Kafka(ctx)
		if err != nil {
			return nil, err
		}
		return []projections.Option{projections.FromKafka(client,
			projections.WithTopicPrefix(s.service.TopicPrefix))}, nil
	default:
		return nil, usage("--from %q: give log or kafka", from)
	}
}

// projectors are those of the given names, in that order; all when none is given.
func (s *Session) projectors(ctx context.Context, names []string, options ...projections.Option) ([]*projections.Projector, error) {
	options = append([]projections.Option{projections.WithLogger(s.Log)}, options...)
	known := map[string]*projections.Projector{}
	var all []string
	for _, definition := range s.service.Projections {
		p := projections.New(s.Store, definition, options...)
		if p.Name() == "" { // a definition that is not valid: any call says why
			_, err := p.Status(ctx)
			return nil, err
		}
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
