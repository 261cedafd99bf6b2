package command

import "github.com/spf13/cobra"

// New returns the command of a service, with all that package command offers below
// it.
func New(s Service) *cobra.Command {
	return &cobra.Command{Use: s.Name, Short: s.Short}
}
