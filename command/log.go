package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
)

// logDefaultLimit is how many events `log` prints unless told.
const logDefaultLimit = 100

func newLog(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "log [CATEGORY [ID]]", Short: "Print the events: all, of a category, or of a stream",
		Long: "Print the events in the log's order: all, of a category, or of one stream.\n\n" +
			"With --output json each event is one JSON document a line. A payload that is not JSON\n" +
			"stands as data_base64.",
		Args: arguments(0, 2),
	}
	flags := cmd.Flags()
	after := flags.Int64("after", 0, "begin after this position; a negative one counts from the end of the log")
	limit := flags.Int64("limit", logDefaultLimit, "how many events to print; 0 is all, as with --follow unless told")
	follow := flags.Bool("follow", false, "go on with new events until stopped")
	cmd.RunE = s.action(false, func(ctx context.Context, session *Session, args []string) error {
		r := reading{s: session, after: es.Position(*after), left: *limit, follow: *follow}
		if r.left < 0 {
			return usage("--limit %d: give 1 or more, or 0 for all", *limit)
		}
		if r.left == 0 || *follow && !flags.Changed("limit") {
			r.left = math.MaxInt64
		}
		r.filter = append(r.filter, args...)
		err := r.run(ctx)
		if *follow && ctx.Err() != nil {
			return nil // that is how it ends
		}
		if err == nil && r.more && !session.Out.JSON() {
			return hint(cmd.ErrOrStderr(), r.after)
		}
		return err
	})
	return cmd
}

func hint(w io.Writer, after es.Position) error {
	_, err := fmt.Fprintf(w, "There is more: --after %d, or --limit 0 for all.\n", after)
	return err
}

// reading is one call of `log`.
type reading struct {
	s      *Session
	filter []string // nothing, a category, or a category and an id
	after  es.Position
	left   int64 // events that may still be printed
	follow bool
	more   bool // there was one that was not printed

	printed bool
	version es.Version // of the stream, up to which it was read on its own
}

// logPage is how many events are read at once, and followEvery how often the end of
// the log is looked at.
const (
	logPage     = 500
	followEvery = 100 * time.Millisecond
)

func (r *reading) run(ctx context.Context) error {
	status, err := r.s.Store.Status(ctx)
	if err != nil {
		return err
	}
	if r.after < 0 {
		r.after = max(0, status.Head+r.after)
	}
	from := r.after
	if len(r.filter) == 2 {
		if err := r.stream(ctx); err != nil || !r.follow {
			return err
		}
		r.after = max(from, status.Settled) // of what is not settled, wants knows what was printed
	}
	if err := r.log(ctx); err != nil {
		return err
	}
	if r.printed || from > 0 || len(r.filter) == 0 {
		return nil
	}
	var known []string
	for _, category := range status.Categories {
		known = append(known, category.Name)
	}
	return notFound("no events of category %q: there are those of %s", r.filter[0], oneOf(known))
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// stream prints a stream, which needs no look at the rest of the log.
func (r *reading) stream(ctx context.Context) error {
	var page []es.RecordedEvent
	for e, err := range r.s.Store.ReadStream(ctx, es.StreamID{Category: r.filter[0], ID: r.filter[1]}, 1) {
		if errors.Is(err, es.ErrStreamNotFound) && r.follow {
			break
		}
		if err != nil {
			return err
		}
		if e.Position <= r.after {
			continue
		}
		if len(page) == logPage {
			if err := r.print(page); err != nil {
				return err
			}
			page = page[:0]
		}
		if r.left <= int64(len(page)) {
			r.more = true
			break
		}
		page = append(page, e)
		r.version = e.Version
	}
	return r.print(page)
}

// log prints the log from r.after on; with follow it waits for more.
func (r *reading) log(ctx context.Context) error {
	for r.left > 0 {
		events, err := r.s.Store.Read(ctx, r.after, logPage)
		if err != nil {
			return err
		}
		if len(events) == 0 && !r.follow {
			return nil
		}
		if len(events) == 0 {
			if err := wait.For(ctx, followEvery); err != nil {
				return err
			}
			continue
		}
		if err := r.page(events); err != nil || r.more {
			return err
		}
	}
	return nil
}

// page prints those of a page that are asked for.
func (r *reading) page(events []es.RecordedEvent) error {
	var page []es.RecordedEvent
	for _, e := range events {
		if !r.wants(e) {
			continue
		}
		if r.left <= int64(len(page)) {
			r.more = true
			break
		}
		page = append(page, e)
	}
	err := r.print(page)
	if !r.more {
		r.after = events[len(events)-1].Position
	}
	return err
}

func (r *reading) wants(e es.RecordedEvent) bool {
	switch len(r.filter) {
	case 0:
		return true
	case 1:
		return e.Stream.Category == r.filter[0]
	default:
		return e.Stream.Category == r.filter[0] && e.Stream.ID == r.filter[1] && e.Version > r.version
	}
}

func (r *reading) print(page []es.RecordedEvent) error {
	if len(page) == 0 {
		return nil
	}
	first := !r.printed
	r.printed, r.left, r.after = true, r.left-int64(len(page)), page[len(page)-1].Position
	return r.s.printEvents(page, first)
}
