package command

import (
	"context"

	"github.com/spf13/cobra"

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
	if err := s.own(ctx); err != nil {
		return err
	}
	options := append([]outbox.Option{outbox.WithLogger(s.Log), outbox.WithTopicPrefix(s.service.TopicPrefix)}, s.service.Relay...)
	return outbox.New(s.Store, client, source, options...).Run(ctx)
}
