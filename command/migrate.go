package command

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/migrations"
)

func newMigrate(s Service) *cobra.Command {
	up := s.action(false, func(ctx context.Context, session *Session, _ []string) error { return session.migrateUp(ctx) })
	cmd := group("migrate", "Create or upgrade the tables: the framework's, then the service's")
	help := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return up(cmd, args)
		}
		return help(cmd, args)
	}
	cmd.AddCommand(
		&cobra.Command{Use: "up", Short: "Apply what is missing (the same as migrate alone)", Args: arguments(0, 0), RunE: up},
		newMigrateDown(s),
		&cobra.Command{
			Use: "status", Short: "List the migrations and when each was applied", Args: arguments(0, 0),
			RunE: s.action(false, func(ctx context.Context, session *Session, _ []string) error { return session.migrateStatus(ctx) }),
		},
	)
	return cmd
}

func newMigrateDown(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "down SCHEMA --to VERSION --yes", DisableFlagsInUseLine: true,
		Short: "Take a schema back to a version, with the loss of what later ones hold",
		Long: "Take a schema's tables back to a version; 0 removes them all. What they hold is lost,\n" +
			"for the framework's schema all events. So it asks for --yes.",
		Args: arguments(1, 1),
	}
	to := cmd.Flags().Int64("to", 0, "version to go back to; 0 removes all")
	yes := cmd.Flags().Bool("yes", false, "confirm that data may be lost")
	_ = cmd.MarkFlagRequired("to") // it fails for a flag that does not exist only
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		return session.migrateDown(ctx, args[0], *to, *yes)
	})
	return cmd
}

func (s *Session) migrateUp(ctx context.Context) error {
	if err := s.ownIfMigrated(ctx); err != nil {
		return err
	}
	before, err := s.migrationSets(ctx)
	if err != nil {
		return err
	}
	if err := s.service.Migrate(ctx, s.Pool); err != nil {
		return err
	}
	after, err := s.migrationSets(ctx)
	if err != nil {
		return err
	}
	after.markNew(before)
	return s.Out.Document(after)
}

func (s *Session) migrateDown(ctx context.Context, schema string, to int64, yes bool) error {
	var known []string
	for _, set := range s.service.sets() {
		if known = append(known, set.Schema); set.Schema != schema {
			continue
		}
		if to < 0 {
			return usage("--to %d: give 0 or a version that `migrate status` lists", to)
		}
		if !yes {
			return usage("down removes tables of schema %s with what they hold: confirm with --yes", schema)
		}
		if err := s.ownIfMigrated(ctx); err != nil {
			return err
		}
		if err := migrations.Down(ctx, s.Pool, set, to); err != nil {
			return err
		}
		return s.migrateStatus(ctx)
	}
	return notFound("no migrations for schema %q: known are %s", schema, strings.Join(known, ", "))
}

func (s *Session) migrateStatus(ctx context.Context) error {
	sets, err := s.migrationSets(ctx)
	if err != nil {
		return err
	}
	return s.Out.Document(sets)
}

func (s *Session) migrationSets(ctx context.Context) (migrationView, error) {
	var view migrationView
	for _, set := range s.service.sets() {
		files, err := migrations.Status(ctx, s.Pool, set)
		if err != nil {
			return view, err
		}
		view.Sets = append(view.Sets, newSetView(set.Schema, files))
	}
	return view, nil
}
