package projectiontest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/asof-dev/asof/es"
)

// try plays all ways, and says what it found: of each cause once.
func (r *replay) try(ctx context.Context) ([]string, error) {
	want, err := r.play(ctx, clean(), r.history)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", clean().words, err)
	}
	if want.empty() {
		return nil, fmt.Errorf("the %d events of the log leave no row: append a history that touches the projection first", len(r.history))
	}
	if text, err := r.again(ctx, clean(), want); text != "" || err != nil {
		return []string{text}, err // all else would differ, too
	}
	var findings []string
	found := map[cause]bool{}
	for _, w := range r.ways() {
		if found[w.cause] || w.mixed && len(findings) > 0 {
			continue
		}
		got, err := r.play(ctx, w, r.history)
		if err != nil {
			found[w.cause] = true
			findings = append(findings, r.fails(clean().words, w.words, w.cause, err))
			continue
		}
		list := want.differences(got)
		if len(list) == 0 {
			continue
		}
		if text, err := r.unstable(ctx, w, want, got); text != "" || err != nil {
			return append(findings, text), err
		}
		found[w.cause] = true
		text, err := r.explain(ctx, w, list)
		if err != nil {
			return nil, err
		}
		findings = append(findings, text)
	}
	return findings, nil
}

// unstable says of a way that differs what is not the same when all is done again.
func (r *replay) unstable(ctx context.Context, w way, want, got image) (string, error) {
	text, err := r.again(ctx, clean(), want)
	byChance := w.cause == inParts || w.cause == inBeside // the parts, and what meets what, are others each time
	if text != "" || err != nil || byChance {
		return text, err
	}
	return r.again(ctx, w, got)
}

// again plays a way once more, and says what differs then.
func (r *replay) again(ctx context.Context, w way, want image) (string, error) {
	got, err := r.play(ctx, w, r.history)
	if err != nil {
		return r.fails(w.words, "when all is done again", inItself, err), nil
	}
	list := want.differences(got)
	if len(list) == 0 {
		return "", nil
	}
	return r.say(list, w.words, "when all is done again", inItself, ""), nil
}

// fails says of a way that it ends with an error, and another does not.
func (r *replay) fails(one, other string, c cause, err error) string {
	text := fmt.Sprintf("all events can be applied %s, and not %s: %v", one, other, err)
	if c == inBatches || c == inCopy { // the error says it
		return text
	}
	return text + "\n" + r.why(c, difference{}) + "."
}

// explain says what differs, as it is with the first event that shows it.
func (r *replay) explain(ctx context.Context, w way, list []difference) (string, error) {
	n, list, err := r.first(ctx, w, list)
	if err != nil {
		return "", err
	}
	e := r.history[n-1].Recorded
	since := fmt.Sprintf("It shows once the log has %s of %s version %d at position %d; this is how the rows are then.\n", e.Type, e.Stream, e.Version, e.Position)
	return r.say(list, clean().words, w.words, w.cause, since), nil
}

// first finds how few events of the history show a difference, and which.
func (r *replay) first(ctx context.Context, w way, list []difference) (int, []difference, error) {
	none, some := 0, len(r.history)
	for some-none > 1 {
		n := (none + some) / 2
		now, err := r.differ(ctx, w, r.history[:n])
		if ctx.Err() != nil {
			return 0, nil, err
		}
		if err == nil && len(now) > 0 { // what fails here has not failed with all events
			some, list = n, now
		} else {
			none = n
		}
	}
	return some, list, nil
}

func (r *replay) differ(ctx context.Context, w way, events []es.RecordedEvent) ([]difference, error) {
	want, err := r.play(ctx, clean(), events)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", clean().words, err)
	}
	got, err := r.play(ctx, w, events)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.words, err)
	}
	return want.differences(got), nil
}

// say writes a finding.
func (r *replay) say(list []difference, one, other string, c cause, since string) string {
	d := list[0]
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s, and %s %s.\n", d.where(), d.one, one, d.other, other)
	switch more := len(list) - 1; {
	case more == 1:
		b.WriteString("Another row differs, too.\n")
	case more > 1:
		fmt.Fprintf(&b, "%d other rows differ, too.\n", more)
	}
	fmt.Fprintf(&b, "%s%s.", since, r.why(c, d))
	if left := r.mayLeave(d); left != "" && (c == inItself || c == inFailures) {
		fmt.Fprintf(&b, " If it is not for the events to say what it is, leave it out: projectiontest.Without(%q).", left)
	}
	return b.String()
}

// mayLeave names what the database may have filled.
func (r *replay) mayLeave(d difference) string {
	for _, c := range d.columns {
		if slices.Contains(r.stage.Columns, c.Table+"."+c.Name) {
			return ""
		}
	}
	if len(d.columns) == 1 {
		return d.table + "." + d.columns[0].Name
	}
	if r.stage.Columns == nil {
		return d.table
	}
	return ""
}
