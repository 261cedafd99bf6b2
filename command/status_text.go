package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/asof-dev/asof/internal/pg"
)

// WriteText writes the status in blocks, the log first.
func (v statusView) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s: database %s, schema %s, at %s\n", v.Service, oneLine(v.Database), oneLine(v.Schema), moment(v.At))
	return errors.Join(err, v.writeLog(w), v.writeHolders(w), v.Relay.write(w), v.writeProjections(w), v.writeReactions(w))
}

func (v statusView) writeLog(w io.Writer) error {
	settled := "all is readable"
	if v.Log.Settled < v.Log.Head {
		settled = "later events wait for the transactions below"
	}
	final := "none"
	if v.Log.Final != nil {
		final = moment(*v.Log.Final)
	}
	err := block(w, "", []string{
		"log head\t" + count(int64(v.Log.Head)),
		"settled\t" + count(int64(v.Log.Settled)) + "\t" + settled,
		"events\t" + count(v.Log.Events),
		"streams\t" + count(v.Log.Streams),
		"final before\t" + final,
		"life\t" + v.Log.Life.String(),
	})
	if err == nil && v.Log.Elsewhere != "" {
		_, err = fmt.Fprintf(w, "nothing reads this log: %s: run `%s repair`\n", v.Log.Elsewhere, pg.Program())
	}
	if err != nil || len(v.Log.Categories) == 0 {
		return err
	}
	var rows []string
	for _, c := range v.Log.Categories {
		rows = append(rows, row(c.Name, count(c.Streams)))
	}
	return block(w, "CATEGORY\tSTREAMS", rows)
}

func (v statusView) writeHolders(w io.Writer) error {
	if len(v.Holders) == 0 {
		return nil
	}
	var rows []string
	for _, h := range v.Holders {
		who := fmt.Sprintf("pid %d", h.PID)
		if h.PID == 0 {
			who = "prepared " + h.Prepared
		}
		rows = append(rows, row(who, h.Application, h.State, age(h.Seconds)))
	}
	return block(w, "OPEN APPEND\tAPPLICATION\tSTATE\tAGE", rows)
}

func (v relayView) write(w io.Writer) error {
	leader := v.Leader
	if leader == "" {
		leader = "none is active"
	}
	rows := []string{row(count(int64(v.Position)), count(v.LagEvents), age(v.LagSeconds), leader)}
	err := block(w, "RELAY AT\tLAG\tBEHIND\tLEADER", rows)
	if err == nil && v.Held > 0 {
		_, err = fmt.Fprintf(w, "mappings hold %s streams: `held list` says why\n", count(v.Held))
	}
	if err != nil || v.Failure == "" {
		return err
	}
	_, err = fmt.Fprintf(w, "relay failing since %s: %s\n", moment(*v.FailedAt), oneLine(v.Failure))
	return err
}

func (v statusView) writeProjections(w io.Writer) error {
	if len(v.Projections) == 0 {
		return nil
	}
	var rows []string
	for _, p := range v.Projections {
		rows = append(rows, p.row())
	}
	err := block(w, "PROJECTION\tVERSION\tSOURCE\tAT\tLAG\tBEHIND\tSKIPPED\tPARKED\tBUILDING\tKEPT", rows)
	for _, p := range v.Projections {
		if _, why := p.source(); err == nil && why != "" {
			_, err = fmt.Fprintf(w, "%s: %s\n", oneLine(p.Name), oneLine(why))
		}
		if err == nil && p.Foreign > 0 {
			_, err = fmt.Fprintf(w, "%s skipped %s messages of its topics that are no events of this log\n", oneLine(p.Name), count(p.Foreign))
		}
		if err == nil && p.Lanes > 0 {
			_, err = fmt.Fprintf(w, "%s is applied in %d lanes\n", oneLine(p.Name), p.Lanes)
		}
		if err == nil && p.Gaps != nil {
			_, err = fmt.Fprintf(w, "%s waits for events of %s streams, since %s; of %s they are lost: rebuild\n", oneLine(p.Name), count(p.Gaps.Streams), moment(p.Gaps.Since), count(p.Gaps.Lost))
		}
		if err == nil && p.Paused != nil {
			_, err = fmt.Fprintf(w, "%s is paused since %s: %s: resume it with `%s resume %s`\n", oneLine(p.Name), moment(p.Paused.Since), oneLine(p.Paused.Reason), pg.Program(), oneLine(p.Name))
		}
		if err == nil && p.Parked > 0 {
			_, err = fmt.Fprintf(w, "%s lacks what is parked: see `%s dead-letters list %s`\n", oneLine(p.Name), pg.Program(), oneLine(p.Name))
		}
		if err == nil && p.Failure != "" {
			_, err = fmt.Fprintf(w, "%s failing: %s\n", oneLine(p.Name), oneLine(p.Failure))
		}
	}
	return err
}

func (v statusView) writeReactions(w io.Writer) error {
	if len(v.Reactions) == 0 {
		return nil
	}
	var rows []string
	for _, r := range v.Reactions {
		oldest := ""
		if r.Oldest != nil {
			oldest = moment(*r.Oldest)
		}
		rows = append(rows, row(r.Name, count(r.Parked), oldest, len(r.Waits)))
	}
	err := block(w, "REACTION\tPARKED\tOLDEST\tPARTITIONS THAT WAIT", rows)
	for _, r := range v.Reactions {
		for _, wait := range r.Waits {
			does := "waits"
			if wait.Stopped {
				does = "has ended"
			}
			if err == nil {
				_, err = fmt.Fprintf(w, "%s %s at %s partition %d offset %d, since %s: %s\n", oneLine(r.Name), does, oneLine(wait.Topic), wait.Partition, wait.Offset, moment(wait.Since), oneLine(wait.Error))
			}
		}
		if err == nil && r.Parked > 0 {
			_, err = fmt.Fprintf(w, "%s has not reacted to what is parked: see `%s dead-letters list %s`\n", oneLine(r.Name), pg.Program(), oneLine(r.Name))
		}
	}
	return err
}

// source is a word for the table, and why it is not the one that was asked for.
func (v projectionView) source() (word, why string) {
	word, why, other := strings.Cut(v.Source, ", as ")
	if !other {
		return v.Source, ""
	}
	return word, "reads the " + word + ", as " + why
}

func (v projectionView) row() string {
	build, kept := "", ""
	if b := v.Building; b != nil {
		build = fmt.Sprintf("version %d, %s of %s", b.Version, count(b.Done), count(b.Total))
		if !b.Active {
			build += ", stopped"
		}
	}
	if v.Retired > 0 {
		kept = fmt.Sprintf("version %d", v.Retired)
	}
	if !v.Live {
		return row(v.Name, "not built", "", "", "", "", "", "", build, kept)
	}
	source, _ := v.source()
	return row(v.Name, v.Version, source, count(int64(v.Position)), count(v.LagEvents), age(v.LagSeconds), count(v.Skipped), count(v.Parked), build, kept)
}

// block writes a table after an empty line.
func block(w io.Writer, header string, rows []string) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return table(w, header, rows)
}
