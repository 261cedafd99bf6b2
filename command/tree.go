package command

import (
	"strings"

	"github.com/spf13/cobra"
)

// New returns the command of a service, with all that this package offers below it.
// It may be the program's root or be added to another command.
func New(s Service) *cobra.Command {
	root := group(s.Name, s.Short)
	addFlags(root)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		// cobra checks these later too, but gives errors that nothing tells apart.
		for _, err := range []error{cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()} {
			if err != nil {
				return usage("%w", err)
			}
		}
		callOf(cmd).began = true
		return nil
	}
	root.AddCommand(newMigrate(s), newStatus(s), newRebuild(s), newRollback(s), newPause(s), newResume(s), newRewind(s), newBuilds(s), newDrop(s), newVerify(s), newDeadLetters(s), newHeld(s), newState(s), newCheckEvents(s), newContracts(s), newLog(s), newRelay(s), newRepair(s), newAccept(s), newProject(s))
	return root
}

// group returns a command that does nothing itself.
func group(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short,
		Args: cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			if strings.Contains(args[0], "@") { // an address, maybe with a password
				return usage("unknown command: an address is given by DATABASE_URL or KAFKA_BROKERS")
			}
			hint := ""
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = ": did you mean " + strings.Join(near, " or ") + "?"
			}
			return usage("unknown command %q%s", args[0], hint)
		},
	}
}

// arguments checks the number of arguments, and says what they are.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usage("wrong number of arguments: %s", cmd.UseLine())
		}
		return nil
	}
}
