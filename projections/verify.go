package projections

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Verification is what a build has applied, beside what stands in the log.
type Verification struct {
	Build      Build // without its tables
	Categories []CategoryCount
	// Partly: the projector's definition is not the one that the build was made with, or
	// there is none, so which categories it should have is not known. Those are compared
	// that it has events of; one of which it has none at all is not noticed.
	Partly bool
}

// CategoryCount says of a category how many events were applied, and how many the log has.
type CategoryCount struct {
	Name    string
	Applied int64
	Logged  int64
	Same    bool // they are the same events: not only as many
}

// Differences says in words which categories differ, and by how much; empty when none does.
func (v Verification) Differences() []string {
	var list []string
	for _, c := range v.Categories {
		if !c.Same {
			list = append(list, c.difference())
		}
	}
	return list
}

func (c CategoryCount) difference() string {
	switch more := c.Applied - c.Logged; {
	case more > 0:
		return fmt.Sprintf("%s: %d events were applied and the log has %d: at least %d that were applied are not in the log", c.Name, c.Applied, c.Logged, more)
	case more < 0:
		return fmt.Sprintf("%s: %d events were applied and the log has %d: at least %d of the log were not applied", c.Name, c.Applied, c.Logged, -more)
	default:
		return fmt.Sprintf("%s: %d events were applied, as many as the log has, but not the same ones", c.Name, c.Applied)
	}
}

// Verify compares what each build of the projection has applied with the log, by the sums
// in the books, and changes nothing. It may run at any time, also beside projectors and
// rebuilds, and reads the log's index of events once for each build. What somebody has
// changed in the rows by hand it does not see: a rebuild does.
//
// Of a build that the log feeds, all events up to its position are compared. Of one that
// Kafka feeds, some after its position are applied too: those are compared as well, as the
// last version of each stream tells which they are. So for both it holds that the build has
// applied each of these events once, and no others, or a difference is named; but for one
// chance in 2^64.
//
// A build that is fed from topics alone is left out, and where there is no other it gives
// [ErrNoLog]. A projection that has no builds gives [ErrNotBuilt].
func (p *Projector) Verify(ctx context.Context) ([]Verification, error) {
	if p.invalid != nil {
		return nil, p.invalid
	}
	if p.apply.Log == nil {
		return nil, fmt.Errorf("%w: %s is not verified", fault.ErrNoLog, p.apply.Def.Name)
	}
	return verify(ctx, p.apply.Books, p.apply.Log, p.apply.Def.Name, p.apply.Def)
}

// Verify does as [Projector.Verify] does, for a projection whose definition no program has
// any more. The log may lie in another database than the builds.
func Verify(ctx context.Context, target Target, log *pgstore.Store, name string) ([]Verification, error) {
	if nothing(target) || log == nil {
		return nil, fmt.Errorf("%w: %q: Verify compares a database of builds with a log: give it both", fault.ErrInvalid, name)
	}
	return verify(ctx, books.Of(target), log, name, nil)
}

func verify(ctx context.Context, k books.Books, log *pgstore.Store, name string, def *fold.Definition) ([]Verification, error) {
	builds, _, err := readBuilds(ctx, k.Pool(), k, []string{name})
	if err != nil {
		return nil, fault.Explain("read the builds of "+name, err)
	}
	if len(builds) == 0 {
		return nil, fmt.Errorf("%w: the books have no projection %s", fault.ErrNotBuilt, name)
	}
	v := verifier{books: k, log: log, def: def}
	list := make([]Verification, 0, len(builds))
	for _, b := range builds {
		if b.Kind == books.KindTopic {
			continue
		}
		one, err := v.verify(ctx, b)
		if err != nil {
			return nil, fault.Explain("verify "+b.String(), err)
		}
		if one != nil { // else it was dropped meanwhile
			list = append(list, *one)
		}
	}
	if len(list) == 0 && builds[0].Kind == books.KindTopic {
		return nil, fmt.Errorf("%w: the builds of %s are fed from topics alone", fault.ErrNoLog, name)
	}
	return list, nil
}

// verifier compares builds with a log.
type verifier struct {
	books books.Books
	log   *pgstore.Store
	def   *fold.Definition // nil: not known
}

func (v verifier) verify(ctx context.Context, b Build) (*Verification, error) {
	of, err := v.read(ctx, b.ID)
	if err != nil || of == nil {
		return nil, err
	}
	b.Tables, b.Kind, b.Position = nil, of.build.Kind, of.build.Position
	out := &Verification{Build: b, Partly: of.partly}
	logged := of.beyond
	if len(of.categories) > 0 || !of.partly {
		sums, err := v.log.Sums(ctx, 0, b.Position, of.categories...)
		if err != nil {
			return nil, err
		}
		for category, sum := range sums {
			logged[category] = sum.Plus(logged[category])
		}
	}
	out.Categories = compareSums(of.applied, logged)
	return out, nil
}

// verified is what the books say of a build, in one snapshot.
type verified struct {
	build      books.Build
	categories []string // to be compared; none means all, unless partly
	partly     bool
	applied    map[string]pgstore.Sum
	beyond     map[string]pgstore.Sum // in the log, of a build that Kafka feeds: applied after its position
}

// read reads the books; nil when they do not have the build any more. Of a build that Kafka
// feeds it looks at the log after the position too, since what is applied there changes all
// the time.
func (v verifier) read(ctx context.Context, id int64) (out *verified, err error) {
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, v.books.Pool(), snapshot, func(tx pgx.Tx) error {
		b, err := v.books.Find(ctx, tx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		out = &verified{build: b, beyond: map[string]pgstore.Sum{}}
		if out.applied, err = v.books.ReadSums(ctx, tx, id); err != nil {
			return err
		}
		out.categories, out.partly = v.categories(b, out.applied)
		if b.Kind == books.KindKafka && len(out.categories) > 0 {
			out.beyond, err = v.beyond(ctx, tx, b, out.categories)
		}
		return err
	})
	return out, err
}

// categories are those that a build should have the events of. Its own definition tells,
// and else those of which it has any.
func (v verifier) categories(b books.Build, applied map[string]pgstore.Sum) (list []string, partly bool) {
	if v.def != nil && v.def.Fingerprint() == b.Fingerprint {
		return v.def.Categories, false
	}
	return slices.Sorted(maps.Keys(applied)), true
}

// beyond sums up what a build that Kafka feeds should have applied after its position: of each
// stream all up to its last version.
func (v verifier) beyond(ctx context.Context, tx pgx.Tx, b books.Build, categories []string) (map[string]pgstore.Sum, error) {
	sums := map[string]pgstore.Sum{}
	c := apply.Comparison{Books: v.books, Log: v.log, Tx: tx}
	err := c.Each(ctx, b, math.MaxInt64, categories, func(e *es.Recorded, applied bool) bool {
		if applied {
			sum := sums[e.Stream.Category]
			sum.Add(e.ID)
			sums[e.Stream.Category] = sum
		}
		return true
	})
	return sums, err
}

// compareSums lists the categories of both.
func compareSums(applied, logged map[string]pgstore.Sum) []CategoryCount {
	all := maps.Clone(applied)
	maps.Copy(all, logged)
	list := make([]CategoryCount, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, l := applied[name], logged[name]
		list = append(list, CategoryCount{Name: name, Applied: a.Events, Logged: l.Events, Same: a == l})
	}
	return list
}
