package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
)

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
		if err := session.own(ctx); err != nil {
			return err
		}
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

// repairView is what `repair` prints.
type repairView struct {
	Relay relayView `json:"relay"`
}

// WriteText writes where the relay goes on.
func (v repairView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "The relay goes on after position %s: %s events to publish.\n", count(int64(v.Relay.Position)), count(v.Relay.LagEvents))
	return err
}
