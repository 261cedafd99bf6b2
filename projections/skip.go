package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/catalog"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Skip leaves an event out of the read model, now and in every build to come, and in reads
// as of a moment: one that is parked, or that stops the projector, since it comes yet. The
// reason is kept with it. What waits behind the event is tried again. Of an event that is
// parked for some of the rows that it touches, and applied to others, those are skipped.
//
// A skip that was cut short may be repeated: of an event that is skipped already the reason
// is changed, and what waits behind it is tried again; where there is no log, all that is
// parked.
//
// An event that the live build has applied gives [ErrApplied], one that neither the log nor
// a build knows gives [ErrNotParked], a rebuild under way [ErrBusy], and a reason that says
// nothing [ErrInvalid]. Where there is no log, only what is parked can be skipped. An error of
// the retry says that the event is skipped all the same. A build that is
// kept for a rollback and has applied the event is left as it is; one whose rebuild was
// stopped is dropped, if it may have applied it.
func (p *Projector) Skip(ctx context.Context, event uuid.UUID, reason string) (Retried, error) {
	if p.invalid != nil {
		return Retried{}, p.invalid
	}
	if strings.TrimSpace(reason) == "" {
		return Retried{}, fmt.Errorf("%w: %q: say why event %s is skipped", fault.ErrInvalid, p.apply.Def.Name, event)
	}
	e, known, err := p.find(ctx, event)
	if err != nil {
		return Retried{}, fault.Explain("find the event in the log", err)
	}
	var behind []fold.Sequence
	err = pgx.BeginTxFunc(ctx, p.apply.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
		behind, err = p.skip(ctx, tx, e, known, reason)
		return err
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrApplied) || errors.Is(err, ErrNotParked) || errors.Is(err, fault.ErrBusy) || errors.Is(err, fault.ErrNotBuilt):
		return Retried{}, err
	default:
		return Retried{}, fault.Explain("skip an event of "+p.apply.Def.Name, err)
	}
	p.apply.Logger.InfoContext(ctx, "an event is skipped", "event", event, "reason", reason)
	if len(behind) == 0 {
		return Retried{}, nil
	}
	done, err := p.retry(ctx, func(r *retry) error { return r.all(ctx, behind) })
	if err != nil {
		err = fmt.Errorf("projections: event %s is skipped, but what waits behind it is still parked: retry it: %w", event, err)
	}
	return done, err
}

// ErrApplied: the live build has applied the event, and would differ from all later ones.
var ErrApplied = errors.New("projections: the event is applied")

// Bind: $1 name.
const buildsOfSQL = books.SelectBuilds + `where b.name = $1 order by b.id`

// leasedSQL asks whether a rebuild is under way. Bind: $1 name.
const leasedSQL = `select exists (select from {asof}.builds where name = $1 and status = 'building' and lease_until > clock_timestamp())`

// Bind: $1 name, $2 event, $3 keys, $4 reason.
const skipSQL = `
insert into {asof}.skips (name, event_id, key, key_hash, reason) select $1, $2, key, sha256(convert_to(key, 'UTF8')), $4 from unnest($3::text[]) key
on conflict (name, event_id, key_hash) do update set reason = excluded.reason`

// unparkSQL takes what is skipped of an event out of what is parked, of all builds of a
// projection, and raises their counters, so that programs look what is skipped. Bind: $1 name,
// $2 event, $3 keys, an empty one for all.
const unparkSQL = `
with mine as (select id from {asof}.builds where name = $1),
gone as (delete from {asof}.parked where build in (select id from mine) and event_id = $2 and (key = any($3) or '' = any($3)) returning build)
update {asof}.lanes l set counter = l.counter + 1, parked = l.parked - case l.lane when 0 then (select count(*) from gone where build = l.build) else 0 end
where l.build in (select id from mine)`

// skip returns the sequences of the live build that the event was parked in.
func (p *Projector) skip(ctx context.Context, tx pgx.Tx, e es.Recorded, known bool, reason string) ([]fold.Sequence, error) {
	if _, err := p.apply.Books.LockAll(ctx, tx, p.apply.Def.Name); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, p.apply.Books.SQL(buildsOfSQL), p.apply.Def.Name)
	if err != nil {
		return nil, err
	}
	builds, err := pgx.CollectRows(rows, books.ScanBuild)
	if err != nil {
		return nil, err
	}
	if len(builds) == 0 {
		return nil, fmt.Errorf("%w: %s: run the projector or rebuild", fault.ErrNotBuilt, p.apply.Def.Name)
	}
	var leased bool
	if err := tx.QueryRow(ctx, p.apply.Books.SQL(leasedSQL), p.apply.Def.Name).Scan(&leased); err != nil {
		return nil, err
	}
	if leased {
		return nil, fmt.Errorf("%w: a rebuild of %s is under way: wait for it, or stop it", fault.ErrBusy, p.apply.Def.Name)
	}
	list, err := readParked(ctx, tx, p.apply.Books, []string{p.apply.Def.Name}, &e.ID, true)
	if err != nil {
		return nil, err
	}
	units := map[int64][]ParkedEvent{}
	for _, u := range list {
		units[u.Build] = append(units[u.Build], u)
	}
	i := slices.IndexFunc(builds, func(b books.Build) bool { return b.Status == books.Live })
	if already, err := p.skippedOf(ctx, tx, e.ID); err != nil {
		return nil, err
	} else if len(already) > 0 && (i < 0 || len(units[builds[i].ID]) == 0) {
		return p.skipAgain(ctx, tx, builds, e, known, already, reason)
	}
	if err := p.dropPassed(ctx, tx, builds, units, e, known); err != nil {
		return nil, err
	}
	keys := []string{""}
	var behind []fold.Sequence
	if i >= 0 {
		b := builds[i]
		for _, u := range units[b.ID] {
			behind = append(behind, fold.Sequence{Stream: u.Event.Stream, Key: u.Key, Source: u.Source})
		}
		if keys, err = p.skippedKeys(ctx, tx, b, units[b.ID]); err != nil {
			return nil, err
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(p.apply.Books.SQL(unparkSQL), p.apply.Def.Name, e.ID, keys)
	batch.Queue(p.apply.Books.SQL(skipSQL), p.apply.Def.Name, e.ID, keys, pg.Storable(reason))
	return behind, tx.SendBatch(ctx, batch).Close()
}

// Bind: $1 name, $2 event.
const skippedOfSQL = `select key from {asof}.skips where name = $1 and event_id = $2`

// skippedOf returns the rows that an event is skipped for already.
func (p *Projector) skippedOf(ctx context.Context, tx pgx.Tx, event uuid.UUID) ([]string, error) {
	rows, err := tx.Query(ctx, p.apply.Books.SQL(skippedOfSQL), p.apply.Def.Name, event)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// skipAgain changes the reason of what is skipped, and returns what the live build has parked
// of the stream; or of all streams, where no log tells which one it is.
func (p *Projector) skipAgain(ctx context.Context, tx pgx.Tx, builds []books.Build, e es.Recorded, known bool, keys []string, reason string) ([]fold.Sequence, error) {
	if _, err := tx.Exec(ctx, p.apply.Books.SQL(skipSQL), p.apply.Def.Name, e.ID, keys, pg.Storable(reason)); err != nil {
		return nil, err
	}
	stream := &e.Stream
	if !known {
		stream = nil
	}
	for _, b := range builds {
		if b.Status == books.Live {
			return sequencesOf(ctx, tx, p.apply.Books.SQL(parkedSequencesSQL), b, stream)
		}
	}
	return nil, nil
}

// skippedKeys are the rows that lack an event which is skipped: those that it is parked for,
// where others have it; an empty one where none has.
func (p *Projector) skippedKeys(ctx context.Context, tx pgx.Tx, b books.Build, units []ParkedEvent) ([]string, error) {
	var keys []string
	for _, u := range units {
		keys = append(keys, u.Key)
	}
	if len(units) == 0 || slices.Contains(keys, "") {
		return []string{""}, nil
	}
	if b.Version != p.apply.Def.Version || b.Fingerprint != p.apply.Def.Fingerprint() {
		return keys, nil
	}
	if _, err := tx.Exec(ctx, catalog.SearchPathSQL, b.Schema); err != nil {
		return nil, err
	}
	m, err := p.apply.Bind(ctx, tx, b)
	if err != nil {
		return nil, err
	}
	if len(m.Decode(ctx, []es.RecordedEvent{units[0].Event}).Keys()) == len(keys) {
		return []string{""}, nil
	}
	return keys, nil
}

// dropPassed refuses an event that the live build has applied, and drops a build whose
// rebuild was stopped after it.
func (p *Projector) dropPassed(ctx context.Context, tx pgx.Tx, builds []books.Build, units map[int64][]ParkedEvent, e es.Recorded, known bool) error {
	if !known && len(units) == 0 {
		return fmt.Errorf("%w: neither the log nor a build of %s knows event %s", ErrNotParked, p.apply.Def.Name, e.ID)
	}
	for _, b := range builds {
		parked := len(units[b.ID]) > 0
		if b.Status == books.Building { // for some rows, and applied to others
			parked = slices.ContainsFunc(units[b.ID], func(u ParkedEvent) bool { return u.Key == "" })
		}
		if parked || b.Status == books.Retired || !known {
			continue
		}
		passed, err := p.passed(ctx, tx, b, e)
		switch {
		case err != nil:
			return err
		case passed && b.Status == books.Live:
			return fmt.Errorf("%w: %s: event %s, version %d of %s: append another event that corrects what it says", ErrApplied, b.Name, e.ID, e.Version, e.Stream)
		case passed:
			if err := p.apply.Books.Drop(ctx, tx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bind: $1 event.
const findEventSQL = `select position, category, stream_id, version from {asof}.events where event_id = $1`

// find looks an event up in the log.
func (p *Projector) find(ctx context.Context, event uuid.UUID) (es.Recorded, bool, error) {
	e := es.Recorded{ID: event}
	if p.apply.Log == nil {
		return e, false, nil
	}
	err := p.apply.Log.Pool().QueryRow(ctx, books.Of(p.apply.Log).SQL(findEventSQL), event).Scan((*int64)(&e.Position), &e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version))
	if errors.Is(err, pgx.ErrNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

// Bind: $1 build, $2 category, $3 stream.
const lastSeenSQL = `select coalesce(max(version), 0) from {asof}.dedup where build = $1 and category = $2 and stream_id = $3`

// passed reports that a build has applied an event, or would have.
func (p *Projector) passed(ctx context.Context, tx pgx.Tx, b books.Build, e es.Recorded) (bool, error) {
	if e.Position <= b.Position || b.Kind == books.KindLog {
		return e.Position <= b.Position, nil
	}
	var last es.Version
	err := tx.QueryRow(ctx, p.apply.Books.SQL(lastSeenSQL), b.ID, e.Stream.Category, e.Stream.ID).Scan((*int64)(&last))
	return e.Version <= last, err
}
