package command

import (
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/projections"
)

// statusView is what `status` prints.
type statusView struct {
	Service     string           `json:"service"`
	Database    string           `json:"database"`
	Schema      string           `json:"schema"`
	At          time.Time        `json:"at"` // the database's clock
	Log         logView          `json:"log"`
	Holders     []holderView     `json:"holders"` // open transactions that have appended, oldest first
	Relay       relayView        `json:"relay"`
	Projections []projectionView `json:"projections"`
	Reactions   []reactionView   `json:"reactions"`
}

type logView struct {
	Head       es.Position    `json:"head"`    // of the last event
	Settled    es.Position    `json:"settled"` // readers get the events up to here
	Events     int64          `json:"events"`  // about, in a large log
	Streams    int64          `json:"streams"`
	Life       uuid.UUID      `json:"life"`      // of the store: another one after a loss of events
	Final      *time.Time     `json:"final"`     // what was recorded before it is final; null when no moment is
	Elsewhere  string         `json:"elsewhere"` // how the database is not where it was; empty when it is
	Categories []categoryView `json:"categories"`
}

type categoryView struct {
	Name    string `json:"name"`
	Streams int64  `json:"streams"`
}

type holderView struct {
	PID         int       `json:"pid"`      // 0 for a prepared transaction
	Prepared    string    `json:"prepared"` // name of a prepared transaction, or empty
	Application string    `json:"application"`
	State       string    `json:"state"`
	Since       time.Time `json:"since"`
	Seconds     float64   `json:"seconds"`
}

type relayView struct {
	Position   es.Position `json:"position"` // every event up to here is published
	LagEvents  int64       `json:"lag_events"`
	LagSeconds float64     `json:"lag_seconds"`
	Leader     string      `json:"leader"` // the active relay; empty when there is none
	Epoch      int64       `json:"epoch"`
	Held       int64       `json:"held"` // streams of which a mapping could not publish an event
	Failure    string      `json:"failure"`
	FailedAt   *time.Time  `json:"failed_at"`
}

type projectionView struct {
	Name       string      `json:"name"`
	Version    int         `json:"version"` // live, or being built when none is live; 0 before
	Live       bool        `json:"live"`
	Source     string      `json:"source"`
	Position   es.Position `json:"position"` // every event up to here is applied
	LagEvents  int64       `json:"lag_events"`
	LagSeconds float64     `json:"lag_seconds"`
	Skipped    int64       `json:"skipped"` // events of unknown types
	Foreign    int64       `json:"foreign"` // messages in its topics that are no events of this log
	Lanes      int         `json:"lanes"`   // partitions that processes apply side by side
	Parked     int64       `json:"parked"`  // events, or rows of them, that the live one lacks
	Failure    string      `json:"failure"`
	Gaps       *gapsView   `json:"gaps"`     // of a read model that is fed from Kafka alone; null when no stream has one
	Paused     *pausedView `json:"paused"`   // null when it is not
	Building   *buildView  `json:"building"` // the rebuild under way, or stopped
	Retired    int         `json:"retired"`  // the version kept for rollback; 0 is none
}

// reactionView says what a reaction has parked, and where it does not go on.
type reactionView struct {
	Name   string     `json:"name"`
	Parked int64      `json:"parked"` // messages
	Oldest *time.Time `json:"oldest"` // since when the first of them is; null: none is
	Waits  []waitView `json:"waits"`
}

type waitView struct {
	Topic     string    `json:"topic"`
	Partition int       `json:"partition"`
	Offset    int64     `json:"offset"`
	Error     string    `json:"error"`
	Stopped   bool      `json:"stopped"` // it has ended there; else it tries again
	Since     time.Time `json:"since"`
}

// gapsView says how many streams lack events, and wait for them.
type gapsView struct {
	Streams int64     `json:"streams"`
	Lost    int64     `json:"lost"` // of these, for ever
	Since   time.Time `json:"since"`
}

type pausedView struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

type buildView struct {
	Version int   `json:"version"`
	Done    int64 `json:"done"` // events
	Total   int64 `json:"total"`
	Active  bool  `json:"active"`
}

func (v *statusView) addLog(s pgstore.Status) {
	v.Log = logView{Head: s.Head, Settled: s.Settled, Events: s.Events, Life: s.Life, Elsewhere: s.Elsewhere, Categories: []categoryView{}}
	if !s.Moment.IsZero() {
		v.Log.Final = &s.Moment
	}
	v.Holders, v.Projections, v.Reactions = []holderView{}, []projectionView{}, []reactionView{}
	for _, c := range s.Categories {
		v.Log.Streams += c.Streams
		v.Log.Categories = append(v.Log.Categories, categoryView(c))
	}
	for _, h := range s.Holders {
		v.Holders = append(v.Holders, holderView{
			PID: h.PID, Prepared: h.Prepared, Application: h.Application, State: h.State,
			Since: h.Since.UTC(), Seconds: seconds(v.At.Sub(h.Since)),
		})
	}
}

func newRelayView(s outbox.Status) relayView {
	v := relayView{Position: s.Position, LagEvents: s.Lag, LagSeconds: seconds(s.Behind), Leader: s.Leader, Epoch: s.Epoch, Held: s.Held, Failure: s.Failure}
	if !s.FailedAt.IsZero() {
		v.FailedAt = &s.FailedAt
	}
	return v
}

func newProjectionView(s projections.Status) projectionView {
	v := projectionView{
		Name: s.Name, Version: s.Version, Live: s.Build != 0, Source: s.Source, Position: s.Position,
		LagEvents: s.Lag, LagSeconds: seconds(s.Behind), Skipped: s.Skipped, Foreign: s.Foreign, Lanes: s.Lanes, Parked: s.Parked, Failure: s.Failure, Retired: s.Retired,
	}
	if s.Gaps != nil {
		v.Gaps = &gapsView{Streams: s.Gaps.Streams, Lost: s.Gaps.Lost, Since: s.Gaps.Since.UTC()}
	}
	if s.Paused != nil {
		v.Paused = &pausedView{Reason: s.Paused.Reason, Since: s.Paused.Since.UTC()}
	}
	if b := s.Building; b != nil {
		v.Building = &buildView{Version: b.Version, Done: b.Done, Total: b.Total, Active: b.Active}
	}
	return v
}

func newReactionView(s reactions.Status) reactionView {
	v := reactionView{Name: s.Name, Parked: s.Parked, Waits: []waitView{}}
	if !s.Oldest.IsZero() {
		oldest := s.Oldest.UTC()
		v.Oldest = &oldest
	}
	for _, wait := range s.Waits {
		wait.Since = wait.Since.UTC()
		v.Waits = append(v.Waits, waitView(wait))
	}
	return v
}

// seconds are not negative: clocks differ a little.
func seconds(d time.Duration) float64 { return max(d, 0).Round(time.Millisecond).Seconds() }
