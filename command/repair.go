package command

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
)

func newRepair(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "repair --from POSITION [--lost]", DisableFlagsInUseLine: true,
		Short: "Go on with a database that was restored, copied or promoted",
		Long: "After the database was restored, copied or promoted nothing reads its log until somebody has\n" +
			"said that it is the one to go on with. Stop the relays, see what was lost, then say from which\n" +
			"position to publish: usually the one of the relay that `status` shows.\n\n" +
			"With --lost the store begins another life: events that somebody may have read are gone, and\n" +
			"others get their positions and versions. Consumers stop then, and say what to do: take back\n" +
			"what they made of the lost events, and accept the new life (`accept`).",
		Args: arguments(0, 0),
	}
	from := cmd.Flags().Int64("from", 0, "every event up to this position counts as published")
	lost := cmd.Flags().Bool("lost", false, "events were lost that somebody may have read")
	_ = cmd.MarkFlagRequired("from") // it fails for a flag that does not exist only
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, _ []string) error {
		if err := session.own(ctx); err != nil {
			return err
		}
		var options []outbox.RepairOption
		if *lost {
			options = append(options, outbox.EventsLost())
		}
		if err := outbox.Repair(ctx, session.Store, es.Position(*from), options...); err != nil {
			return err
		}
		view := repairView{Lost: *lost}
		status, err := outbox.ReadStatus(ctx, session.Store)
		if err != nil {
			return err
		}
		view.Relay = newRelayView(status)
		if view.Life, err = session.Store.Life(ctx); err != nil {
			return err
		}
		return session.Out.Document(view)
	})
	return cmd
}

// repairView is what `repair` prints.
type repairView struct {
	Life  uuid.UUID `json:"life"` // of the store from now on
	Lost  bool      `json:"lost"` // another one than before
	Relay relayView `json:"relay"`
}

// WriteText writes where the relay goes on, and in which life.
func (v repairView) WriteText(w io.Writer) error {
	life := "Nothing counts as lost, and the store lives on as " + v.Life.String() + "."
	if v.Lost {
		life = "The store begins life " + v.Life.String() + "; its consumers stop until they accept it."
	}
	_, err := fmt.Fprintf(w, "The relay goes on after position %s: %s events to publish.\n%s\n", count(int64(v.Relay.Position)), count(v.Relay.LagEvents), life)
	return err
}
