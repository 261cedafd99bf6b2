package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newCheckEvents(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check-events [--write FILE] [--against FILE] [--streams N]", DisableFlagsInUseLine: true,
		Short: "Decode the whole log and fold every stream, before a deployment",
		Long: "Decode every event of the log by this program, and fold every stream of its aggregates:\n" +
			"what does not decode, and what fails to fold, is named. Nothing is changed, so a program\n" +
			"that is still to be deployed can run it on the real log.\n\n" +
			"To see also what it would read differently, let the program that runs now write what each\n" +
			"state is, and compare that:\n\n" +
			"  old check-events --write states.jsonl\n" +
			"  new check-events --against states.jsonl\n\n" +
			"The file has a line of JSON for each stream, with a digest of its state as encoding/json\n" +
			"writes it, at a version: what JSON does not have of it is not compared. Events that\n" +
			"have come since do not matter. The log is read once, and once more for every N streams.\n" +
			"The exit code is 1 when an event fails or a state differs.",
		Args: arguments(0, 0), Hidden: len(s.Aggregates) == 0,
	}
	write := cmd.Flags().String("write", "", "a file to write the digests of all states to")
	against := cmd.Flags().String("against", "", "a file of digests to compare with")
	streams := cmd.Flags().Int64("streams", 100_000, "of how many streams the states are in memory at once, about")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, _ []string) error {
		if len(s.Aggregates) == 0 {
			return notFound("%s has no decider, which folding needs: use the service's own command", s.Name)
		}
		if *streams < 1 {
			return usage("--streams %d: give 1 or more", *streams)
		}
		c := newCheck(session, *streams, &Printer{w: cmd.ErrOrStderr(), json: session.settings.json})
		if *against != "" {
			before, err := readStates(*against)
			if err != nil {
				return err
			}
			c.before = before
		}
		if err := c.sees(*write != "" || *against != ""); err != nil {
			return err
		}
		if err := c.runInto(ctx, *write); err != nil {
			return err
		}
		view := c.view()
		if err := session.Out.Document(view); err != nil || view.Right {
			return err
		}
		return WithCode(ExitFailure, fmt.Errorf("command: %s failed, %s differ: do not deploy this program before that is mended", counted(view.Failures, "event", "events"), counted(view.Differences, "state", "states")))
	})
	return cmd
}

// sees refuses states of which digests would tell nothing, where there are to be some.
func (c *check) sees(digests bool) error {
	for _, f := range c.folders {
		if err := f.blind(); err != nil && digests {
			return WithCode(ExitUsage, err)
		}
	}
	return nil
}

// runInto runs, and writes the digests to a file, if one is named.
func (c *check) runInto(ctx context.Context, name string) error {
	if name == "" {
		return c.run(ctx, false)
	}
	file, err := newStateFile(name)
	if err != nil {
		return err
	}
	defer file.drop()
	if err := c.run(ctx, true); err != nil {
		return err
	}
	return file.write(c.states)
}

func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// checkEvery is how often it is said how far a check is.
const checkEvery = time.Second
