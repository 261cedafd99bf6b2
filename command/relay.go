package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
)

func newRelay(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "relay", Short: "Publish the log to Kafka until stopped",
		Long: "Publish the log to Kafka until stopped: a topic for every category, an event's stream id as\n" +
			"the key. Any number may run: one is active, the others wait to take over.",
		Args: arguments(0, 0),
	}
	source := cmd.Flags().String("source", s.source(), "ce_source of the events; it must stay the same, as consumers tell events apart by it")
	cmd.RunE = s.action(true, func(ctx context.Context, session *Session, _ []string) error {
		return session.relay(ctx, *source)
	})
	return cmd
}

func (s *Session) relay(ctx context.Context, source string) error {
	client, err := s.Kafka(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Store.Status(ctx); err != nil {
		return err
	}
	options := append([]outbox.Option{outbox.WithLogger(s.Log), outbox.WithTopicPrefix(s.service.TopicPrefix)}, s.service.Relay...)
	return outbox.New(s.Store, client, source, options...).Run(ctx)
}

func newRepair(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "repair --from POSITION", DisableFlagsInUseLine: true,
		Short: "Let the relay go on after the database was restored, copied or promoted",
		Long: "After the database was restored, copied or promoted the relay refuses to go on: Kafka may\n" +
			"have events that the database has lost. Stop the relays, look what was lost, rebuild the\n" +
			"read models of consumers if there was any, then say from which position to go on: usually\n" +
			"the one of the relay that `status` shows.",
		Args: arguments(0, 0),
	}
	from := cmd.Flags().Int64("from", 0, "every event up to this position counts as published")
	_ = cmd.MarkFlagRequired("from") // it fails for a flag that does not exist only
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, _ []string) error {
		if err := outbox.Repair(ctx, session.Store, es.Position(*from)); err != nil {
			return err
		}
		status, err := outbox.ReadStatus(ctx, session.Store)
		if err != nil {
			return err
		}
		return session.Out.Document(repairView{newRelayView(status)})
	})
	return cmd
}
