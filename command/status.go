package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/projections"
)

func newStatus(s Service) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the log, the relay and the read models stand",
		Long: "Show how the log, the relay and the read models stand, and which open transactions hold\n" +
			"readers of the log back.",
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
	return view, nil
}

// projectionStatus is how the projections of the database stand, and those of the
// service that are not in it yet.
func (s *Session) projectionStatus(ctx context.Context) ([]projections.Status, error) {
	list, err := projections.List(ctx, s.Store)
	if err != nil || len(s.service.Projections) == 0 {
		return list, err
	}
	projectors, err := s.projectors(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, p := range projectors {
		status, err := p.Status(ctx) // knows the projection's categories, and so its lag
		if errors.Is(err, projections.ErrNotBuilt) {
			list = append(list, projections.Status{Name: p.Name()})
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range list {
			if list[i].Name == status.Name {
				list[i] = status
			}
		}
	}
	return list, nil
}
