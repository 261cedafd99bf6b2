package command

import (
	"context"
	"slices"
	"strings"

	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/projections"
)

// What a NAME of dead-letters may begin with, where a read model and a reaction have the
// same name.
const (
	asProjection = "projection:"
	asReaction   = "reaction:"
)

const namesMeant = "NAME is that of a read model or of a reaction. Where both have it, write projection:NAME or\nreaction:NAME."

// reactors are the reactions of the service, if it has said which.
func (s *Session) reactors() []*reactions.Reactor {
	if s.service.Reactions == nil {
		return nil
	}
	return s.service.Reactions(s)
}

// reactionNames are those of the service, and of those that the store knows of.
func (s *Session) reactionNames(ctx context.Context) (names []string, err error) {
	for _, r := range s.reactors() {
		names = append(names, r.Name())
	}
	known, err := reactions.List(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	for _, status := range known {
		names = append(names, status.Name)
	}
	skipped, err := reactions.ListSkipped(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	for _, k := range skipped {
		names = append(names, k.Reaction)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// isProjection reports a read model of the service, or one that has builds.
func (s *Session) isProjection(ctx context.Context, name string) (bool, error) {
	for _, definition := range s.service.Projections {
		if projections.New(s.Store, definition).Name() == name {
			return true, nil
		}
	}
	builds, err := projections.Builds(ctx, s.Store, name)
	return len(builds) > 0, err
}

// meant says which a name means, and the name. What nobody knows is taken for a read
// model's.
func (s *Session) meant(ctx context.Context, name string) (reaction bool, bare string, err error) {
	if bare, found := strings.CutPrefix(name, asReaction); found {
		return true, bare, nil
	}
	if bare, found := strings.CutPrefix(name, asProjection); found {
		return false, bare, nil
	}
	names, err := s.reactionNames(ctx)
	if err != nil || !slices.Contains(names, name) {
		return false, name, err
	}
	both, err := s.isProjection(ctx, name)
	if err == nil && both {
		err = usage("%q is a read model and a reaction: say which by %s%s or %s%s", name, asProjection, name, asReaction, name)
	}
	return true, name, err
}

// reactor is a reaction that the program has, for a command that writes.
func (s *Session) reactor(ctx context.Context, name string) (*reactions.Reactor, error) {
	var known []string
	for _, r := range s.reactors() {
		if r.Name() == name {
			return r, s.own(ctx)
		}
		known = append(known, r.Name())
	}
	if len(known) == 0 {
		return nil, notFound("%s has no reactions, which are code: use the service's own command", s.service.Name)
	}
	slices.Sort(known)
	return nil, notFound("no reaction %q: known are %s", name, strings.Join(known, ", "))
}
