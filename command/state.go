package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
)

func newState(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "state CATEGORY ID [--at TIME | --version N | --position P]", DisableFlagsInUseLine: true,
		Short: "Show the state of a stream, now or as of a moment",
		Long: "Show the state of a stream: the fold of its events, now or as of a moment.\n\n" +
			"TIME is RFC 3339, such as 2026-03-01T12:00:00Z or 2026-03-01T13:00:00.5+01:00, or a\n" +
			"duration back from the database's clock, such as -90s, -5m or -36h.",
		Args: arguments(2, 2), Hidden: len(s.Aggregates) == 0,
	}
	at := cmd.Flags().String("at", "", "a time: RFC 3339, or a duration back from now such as -5m")
	version := cmd.Flags().Int64("version", 0, "a version of the stream, from 1")
	position := cmd.Flags().Int64("position", 0, "a position of the log, from 1")
	cmd.MarkFlagsMutuallyExclusive("at", "version", "position")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		asOf, err := session.asOf(ctx, cmd, *at, *version, *position)
		if err != nil {
			return err
		}
		return session.state(ctx, es.StreamID{Category: args[0], ID: args[1]}, asOf)
	})
	return cmd
}

// asOf is the moment that the flags name; nil is now.
func (s *Session) asOf(ctx context.Context, cmd *cobra.Command, at string, version, position int64) (*es.AsOf, error) {
	var moment es.AsOf
	switch flags := cmd.Flags(); {
	case flags.Changed("version"):
		moment = es.AtVersion(es.Version(version))
	case flags.Changed("position"):
		moment = es.AtPosition(es.Position(position))
	case flags.Changed("at"):
		t, err := s.parseTime(ctx, at)
		if err != nil {
			return nil, err
		}
		return new(es.AtTime(t)), nil
	default:
		return nil, nil
	}
	if version < 0 || position < 0 || version+position == 0 {
		return nil, usage("%s: count from 1", moment)
	}
	return &moment, nil
}

// parseTime reads RFC 3339, or a duration back from the database's clock, by which
// events are recorded.
func (s *Session) parseTime(ctx context.Context, text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil {
		return time.Time{}, usage("--at %q: give RFC 3339 with a zone, such as 2026-03-01T12:00:00Z, or a duration back from now, such as -5m", text)
	}
	if ago >= 0 {
		return time.Time{}, usage("--at %s: a duration counts back from now: begin it with a minus, such as -5m", text)
	}
	var now time.Time
	if err := s.Pool.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
		return time.Time{}, err
	}
	return now.Add(ago), nil
}

func (s *Session) state(ctx context.Context, stream es.StreamID, at *es.AsOf) error {
	i := slices.IndexFunc(s.service.Aggregates, func(a Aggregate) bool { return a.category == stream.Category })
	if i < 0 {
		return s.service.unknownCategory(stream)
	}
	state, err := s.service.Aggregates[i].load(ctx, s.Store, stream.ID, at)
	if err != nil {
		return err
	}
	return s.Out.Document(stateView{
		Category: stream.Category, ID: stream.ID, Version: state.version, Position: state.position,
		RecordedAt: state.recordedAt.UTC(), State: state.value,
	})
}

func (s Service) unknownCategory(stream es.StreamID) error {
	const events = "its events: log CATEGORY ID"
	if len(s.Aggregates) == 0 {
		return notFound("%s has no decider, which folding needs: use the service's own command; %s", s.Name, events)
	}
	var known []string
	for _, a := range s.Aggregates {
		known = append(known, a.category)
	}
	slices.Sort(known)
	return notFound("no decider of category %q: known are %s; %s", stream.Category, strings.Join(known, ", "), events)
}
