package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Retried says what came of a retry.
type Retried struct {
	Applied int // units: an event, or each row of it that was parked
	Parked  int // units that were tried, or wait behind one that was, and are parked again
}

// RetryEvent tries a parked event again: the first of its sequence. One that waits behind
// another gives [ErrWaits]: retry the sequence. [ErrNotParked] when the live build has not
// parked it, [ErrAnotherProgram] when it is not of this program's version.
func (p *Projector) RetryEvent(ctx context.Context, event uuid.UUID) (Retried, error) {
	return p.retry(ctx, func(r *retry) error { return r.event(ctx, event) })
}

// RetrySequence tries again what is parked of a stream: the sequences of some rows, of all
// when no keys are given. Events are applied in order up to the first that fails.
// [ErrNotParked] when the live build has parked none of them.
func (p *Projector) RetrySequence(ctx context.Context, stream es.StreamID, keys ...string) (Retried, error) {
	return p.retry(ctx, func(r *retry) error {
		list, err := r.sequences(ctx, &stream)
		if len(keys) > 0 {
			list = slices.DeleteFunc(list, func(s fold.Sequence) bool { return !slices.Contains(keys, s.Key) })
		}
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%w: %s has parked nothing of %s that was asked for", ErrNotParked, p.apply.Def.Name, stream)
		}
		return errors.Join(err, r.all(ctx, list))
	})
}

// RetryAll tries again all that the live build has parked, sequence by sequence: one that
// fails again does not hold up the others, and is no error. Where another version or DDL is
// live, all retries give [ErrAnotherProgram], and where none is, [ErrNotBuilt].
func (p *Projector) RetryAll(ctx context.Context) (Retried, error) {
	return p.retry(ctx, func(r *retry) error {
		list, err := r.sequences(ctx, nil)
		return errors.Join(err, r.all(ctx, list))
	})
}

// retry is one call.
type retry struct {
	p    *Projector
	b    books.Build
	m    fold.Model
	done Retried
}

func (p *Projector) retry(ctx context.Context, work func(r *retry) error) (Retried, error) {
	b, err := p.live(ctx)
	if err != nil {
		return Retried{}, err
	}
	if b.Version != p.apply.Def.Version || b.Fingerprint != p.apply.Def.Fingerprint() {
		return Retried{}, fmt.Errorf("%w: %s: version %d is live, and this program has version %d or another DDL: retry with the program that keeps it", ErrAnotherProgram, b.Name, b.Version, p.apply.Def.Version)
	}
	m, err := p.apply.Model(ctx, b)
	if err != nil {
		return Retried{}, err
	}
	r := &retry{p: p, b: b, m: m}
	err = work(r)
	switch {
	case errors.Is(err, fault.ErrFenced):
		return r.done, fmt.Errorf("%w: %s, build %d was switched meanwhile, or is fed from another kind of source: try again", fault.ErrBusy, b.Name, b.ID)
	case errors.Is(err, ErrNotParked) || errors.Is(err, ErrWaits) || errors.Is(err, fault.ErrBusy) || fault.Final(err) && !pg.OnlyByOperator(err):
		return r.done, err
	}
	return r.done, fault.Wrap("retry what "+b.Name+" has parked", err)
}

// Bind: $1 build, $2 category and $3 id of a stream, or null. Sequences of rows come first:
// what is parked of the stream as a whole comes after them.
const parkedSequencesSQL = `
select category, stream_id, key, source from {asof}.parked
where build = $1 and ($2::text is null or (category, stream_id) = ($2, $3))
group by 1, 2, 3, 4 order by 1, 2, key = '', min(version), 3, 4`

func (r *retry) sequences(ctx context.Context, stream *es.StreamID) ([]fold.Sequence, error) {
	return sequencesOf(ctx, r.p.apply.Books.Pool(), r.p.apply.Books.SQL(parkedSequencesSQL), r.b, stream)
}

// sequencesOf returns what a build has parked, of a stream or of all.
func sequencesOf(ctx context.Context, db pg.Querier, sql string, b books.Build, stream *es.StreamID) ([]fold.Sequence, error) {
	var category, id *string
	if stream != nil {
		category, id = &stream.Category, &stream.ID
	}
	rows, err := db.Query(ctx, sql, b.ID, category, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s fold.Sequence, err error) {
		err = row.Scan(&s.Stream.Category, &s.Stream.ID, &s.Key, &s.Source)
		return s, err
	})
}

func (r *retry) all(ctx context.Context, list []fold.Sequence) error {
	for _, s := range list {
		if err := r.sequence(ctx, s, nil); err != nil {
			return err
		}
	}
	return nil
}

// event retries the sequences that an event begins.
func (r *retry) event(ctx context.Context, id uuid.UUID) error {
	list, err := readParked(ctx, r.p.apply.Books.Pool(), r.p.apply.Books, []string{r.b.Name}, &id, false)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(u ParkedEvent) bool { return u.Build != r.b.ID })
	if len(list) == 0 {
		return fmt.Errorf("%w: the live build of %s has not parked event %s", ErrNotParked, r.b.Name, id)
	}
	for _, u := range list {
		if err := r.sequence(ctx, fold.Sequence{Stream: u.Event.Stream, Key: u.Key, Source: u.Source}, &u.Event.Version); err != nil {
			return err
		}
	}
	return nil
}

// retryEvents is how many are tried at once.
const retryEvents = 1_000

// errStillParked: a sequence is parked again from an event on.
var errStillParked = errors.New("projections: still parked")

// sequence tries the events of a sequence in order, up to the first that fails; or the
// first alone, if it is of a version.
func (r *retry) sequence(ctx context.Context, s fold.Sequence, version *es.Version) error {
	for tries := 0; tries < apply.ManyTries; {
		limit := r.p.apply.MostInTurn(retryEvents)
		if version != nil {
			limit = 1
		}
		events, err := r.read(ctx, s, limit)
		if err != nil || len(events) == 0 && version == nil {
			return err
		}
		if version != nil && (len(events) == 0 || events[0].Version > *version) {
			return fmt.Errorf("%w: somebody else has retried or skipped version %d of %s", ErrNotParked, *version, s.Stream)
		}
		if version != nil && events[0].Version < *version {
			return fmt.Errorf("%w: version %d of %s waits behind version %d: retry that one before, or the sequence", ErrWaits, *version, s.Stream, events[0].Version)
		}
		try := func(ctx context.Context, part []es.RecordedEvent, refused map[fold.Unit]error, keep bool) error {
			return r.try(ctx, s, part, refused, keep)
		}
		if err = try(ctx, events, nil, true); r.p.apply.Refused(err) {
			err = r.p.apply.Bisect(ctx, r.m, events, try)
		}
		switch {
		case errors.Is(err, errStillParked):
			return nil
		case errors.Is(err, apply.ErrNotThere):
			tries++
		case err != nil:
			return err
		case version != nil:
			return nil
		}
	}
	return fmt.Errorf("%w: somebody else retries or skips what %s has parked of %s: try again", fault.ErrBusy, r.b.Name, s.Stream)
}

// Bind: $1 build, $2 category, $3 stream, $4 key, $5 limit, $6 source.
const parkedEventsSQL = `
select event_id, category, stream_id, version, position, recorded_at, type, schema_version, content_type, metadata, data from {asof}.parked
where build = $1 and category = $2 and stream_id = $3 and key_hash = sha256(convert_to($4, 'UTF8')) and source = $6 order by version limit $5`

// read returns the first events of a sequence.
func (r *retry) read(ctx context.Context, s fold.Sequence, limit int) ([]es.RecordedEvent, error) {
	rows, err := r.p.apply.Books.Pool().Query(ctx, r.p.apply.Books.SQL(parkedEventsSQL), r.b.ID, s.Stream.Category, s.Stream.ID, s.Key, limit, s.Source)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e es.RecordedEvent, err error) {
		var metadata []byte
		err = row.Scan(&e.ID, &e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version), (*int64)(&e.Position), &e.RecordedAt, &e.Type, &e.Schema, &e.ContentType, &metadata, &e.Data)
		e.RecordedAt = e.RecordedAt.UTC()
		if err == nil {
			err = e.Metadata.UnmarshalBinary(metadata)
		}
		return e, err
	})
}

// try applies events of a sequence, which then are parked no more, but for those that fail
// again: see [apply.Applier.Bisect].
func (r *retry) try(ctx context.Context, s fold.Sequence, events []es.RecordedEvent, refused map[fold.Unit]error, keep bool) error {
	k, err := r.p.apply.Again(ctx, r.b, s, events, refused, keep)
	if err != nil || !keep {
		return err
	}
	failed := map[uuid.UUID]struct{}{}
	for _, u := range k.Fresh {
		failed[u.Event.ID] = struct{}{}
	}
	r.done.Applied += len(events) - len(failed)
	r.done.Parked += len(k.Fresh)
	if _, parked := k.From[s]; parked {
		return errStillParked
	}
	return nil
}
