package command

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/projections"
)

func newStatus(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the log, the relay, the read models and the reactions stand",
		Long: "Show how the log, the relay, the read models and the reactions stand, and which open\n" +
			"transactions hold readers of the log back.",
		Args: arguments(0, 0),
		RunE: s.action(false, func(ctx context.Context, session *Session, _ []string) error {
			view, err := session.status(ctx)
			if err != nil {
				return err
			}
			return session.Out.Document(view)
		}),
	}
}

func (s *Session) status(ctx context.Context) (statusView, error) {
	view := statusView{Service: s.service.Name, Database: s.Pool.Config().ConnConfig.Database, Schema: s.Store.Schema()}
	if err := s.Pool.QueryRow(ctx, `select clock_timestamp()`).Scan(&view.At); err != nil {
		return view, err
	}
	view.At = view.At.UTC()
	log, err := s.Store.Status(ctx)
	if err != nil {
		return view, err
	}
	view.addLog(log)
	relay, err := outbox.ReadStatus(ctx, s.Store)
	if err != nil {
		return view, err
	}
	view.Relay = newRelayView(relay)
	list, err := s.projectionStatus(ctx)
	if err != nil {
		return view, err
	}
	for _, status := range list {
		view.Projections = append(view.Projections, newProjectionView(status))
	}
	reacting, err := s.reactionStatus(ctx)
	if err != nil {
		return view, err
	}
	for _, status := range reacting {
		view.Reactions = append(view.Reactions, newReactionView(status))
	}
	return view, nil
}

// reactionStatus is how the reactions of the service stand, and the others that have parked
// something or wait.
func (s *Session) reactionStatus(ctx context.Context) ([]reactions.Status, error) {
	list, err := reactions.List(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	for _, r := range s.reactors() {
		if !slices.ContainsFunc(list, func(known reactions.Status) bool { return known.Name == r.Name() }) {
			list = append(list, reactions.Status{Name: r.Name()})
		}
	}
	slices.SortFunc(list, func(a, b reactions.Status) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// projectionStatus is how the projections of the service stand, also those that are
// not in the database yet, and the others that are. The service's own are asked first
// and never missing, whatever a build does meanwhile.
func (s *Session) projectionStatus(ctx context.Context) (list []projections.Status, err error) {
	own := map[string]bool{}
	if len(s.service.Projections) > 0 {
		projectors, err := s.projectors(ctx, nil)
		if err != nil {
			return nil, err
		}
		for _, p := range projectors {
			status, err := p.Status(ctx) // knows the projection's categories, and so its lag
			if errors.Is(err, projections.ErrNotBuilt) {
				status, err = projections.Status{Name: p.Name()}, nil
			}
			if err != nil {
				return nil, err
			}
			own[p.Name()] = true
			list = append(list, status)
		}
	}
	all, err := projections.List(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	for _, status := range all {
		if !own[status.Name] {
			list = append(list, status)
		}
	}
	slices.SortFunc(list, func(a, b projections.Status) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
