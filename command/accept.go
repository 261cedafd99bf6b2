package command

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
)

func newAccept(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "accept REACTION --source URI --life ID --kept POSITION", DisableFlagsInUseLine: true,
		Short: "Let a reaction go on in another life of the store that it consumes",
		Long: "A store that has lost events begins another life (`repair --lost`), and those who react to its\n" +
			"messages stop. See what the reaction did of the lost events and take it back: what it appended\n" +
			"names the event's id as its causation. Then accept the life. REACTION, --source and --life stand\n" +
			"in the error; --kept is the position that the store's repair was given, up to which nothing is\n" +
			"lost.",
		Args: arguments(1, 1),
	}
	source := cmd.Flags().String("source", "", "ce_source of the messages")
	life := cmd.Flags().String("life", "", "life of the store to go on in")
	kept := cmd.Flags().Int64("kept", 0, "up to this position the store has lost nothing")
	for _, name := range []string{"source", "life", "kept"} {
		_ = cmd.MarkFlagRequired(name) // it fails for a flag that does not exist only
	}
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		id, err := uuid.Parse(*life)
		if err != nil {
			return usage("--life %q is no id: give that of the error", *life)
		}
		if err := session.own(ctx); err != nil {
			return err
		}
		if err := inbox.New(session.Store, args[0], inbox.WithLogger(session.Log)).Accept(ctx, *source, id, es.Position(*kept)); err != nil {
			return err
		}
		return session.Out.Document(acceptView{Reaction: args[0], Source: *source, Life: id, Kept: es.Position(*kept)})
	})
	return cmd
}

// acceptView is what `accept` prints.
type acceptView struct {
	Reaction string      `json:"reaction"`
	Source   string      `json:"source"`
	Life     uuid.UUID   `json:"life"`
	Kept     es.Position `json:"kept"`
}

// WriteText writes which reaction goes on in which life.
func (v acceptView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s goes on in life %s of %s.\n", oneLine(v.Reaction), v.Life, oneLine(v.Source))
	return err
}
