package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// patiently repeats what others are in the way of.
func (r *round) patiently(do func() error) error {
	for try := 0; ; try++ {
		err := do()
		if !errors.Is(err, projections.ErrBusy) || try == 50 {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.ctx.Done():
		}
	}
}

func (r *round) retry(m *model) error {
	return r.patiently(func() error { _, err := r.looking(m).RetryAll(r.ctx); return err })
}

func (r *round) skip(m *model, id uuid.UUID) error {
	err := r.patiently(func() error { _, err := r.looking(m).Skip(r.ctx, id, "drawn"); return err })
	if err == nil {
		r.skipped[m][unit{id, ""}] = true
	}
	return err
}

// skipParked skips one of the events that are parked.
func (r *round) skipParked(m *model, number int) error {
	list, err := projections.ListParked(r.ctx, r.books(), m.name)
	list = slices.DeleteFunc(list, func(u projections.ParkedEvent) bool { return u.State != projections.BuildLive })
	if err != nil || len(list) == 0 {
		return err
	}
	return r.skip(m, list[number%len(list)].Event.ID)
}

// skipNext skips an event as soon as it is appended: before it is applied, or too late.
func (r *round) skipNext(number int) error {
	if err := r.append([]step{{account: number % 4, events: []es.EventData{{Type: "account.deposited", Data: []byte(`{"Cents":21}`)}}}}); err != nil {
		return err
	}
	id := r.history[len(r.history)-1].ID
	return r.each(func(m *model) error {
		err := r.skip(m, id)
		if errors.Is(err, projections.ErrApplied) {
			return nil
		}
		return err
	})
}

// lacks is what the books say that the live build of a projection lacks.
func (r *round) lacks(m *model) (parked, skipped units, err error) {
	status, err := r.looking(m).Status(r.ctx)
	if err != nil {
		return nil, nil, err
	}
	list, err := projections.ListParked(r.ctx, r.books(), m.name)
	if err != nil {
		return nil, nil, err
	}
	parked, skipped = units{}, units{}
	for _, u := range list {
		if u.Build == status.Build {
			parked[unit{u.Event.ID, u.Key}] = true
		}
	}
	if int64(len(parked)) != status.Parked {
		return nil, nil, fmt.Errorf("%d units are counted and %d are parked", status.Parked, len(parked))
	}
	skips, err := projections.ListSkipped(r.ctx, r.books(), m.name)
	events := units{}
	for _, s := range skips {
		skipped[unit{s.Event, s.Key}], events[unit{s.Event, ""}] = true, true
	}
	if diff := cmp.Diff(r.skipped[m], events, cmp.AllowUnexported(unit{})); diff != "" {
		err = errors.Join(err, fmt.Errorf("other events are skipped (-want +got):\n%s", diff))
	}
	return parked, skipped, err
}

// whole looks at the live build, to which nothing is written now: the rows and the sums are
// those of what the books say is applied.
func (r *round) whole(m *model) error {
	status, err := r.looking(m).Status(r.ctx)
	if err != nil {
		return err
	}
	applied, err := r.applied(status)
	if err != nil {
		return err
	}
	parked, skipped, err := r.lacks(m)
	if err != nil {
		return err
	}
	if err := m.inOrder(applied, parked, skipped); err != nil {
		return err
	}
	if err := r.rowsAre(m, "live", m.fold(m.parts(applied, parked, skipped))); err != nil {
		return err
	}
	return r.sumsAre(status, applied)
}

// inOrder checks that nothing was applied that comes after what is parked of its sequence.
func (m *model) inOrder(applied []es.RecordedEvent, parked, skipped units) error {
	type sequence struct {
		stream es.StreamID
		key    string
	}
	behind := map[sequence]bool{}
	for _, e := range applied {
		if whole := (sequence{e.Stream, ""}); parked[unit{e.ID, ""}] {
			behind[whole] = true
		}
	}
	for _, p := range m.parts(applied, skipped) {
		for _, key := range p.keys {
			s := sequence{p.Stream, key}
			switch {
			case parked.has(p.ID, key):
				behind[s] = true
			case behind[s] && key != "":
				return fmt.Errorf("version %d of %s is applied for row %q, and an earlier one is parked", p.Version, p.Stream, key)
			}
		}
	}
	return nil
}

// applied is the part of the history that the books say is applied to a build.
func (r *round) applied(status projections.Status) (list []es.RecordedEvent, err error) {
	type row struct {
		Category, Stream string
		Version          int64
	}
	rows, err := r.target.pool.Query(r.ctx, `select category, stream_id, version from asof.dedup where build = $1`, status.Build)
	if err != nil {
		return nil, err
	}
	last := map[es.StreamID]es.Version{}
	read, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	for _, r := range read {
		last[es.StreamID{Category: r.Category, ID: r.Stream}] = es.Version(r.Version)
	}
	for _, e := range r.history {
		if e.Position <= status.Position || e.Version <= last[e.Stream] {
			list = append(list, e)
		}
	}
	return list, err
}

// rowsAre compares the live tables with texts.
func (r *round) rowsAre(m *model, what string, want []string) error {
	got, err := textsOf(r.ctx, r.target.pool, m.rows(m.name+"."))
	return errors.Join(err, sameTextsOf(what, want, got))
}

func textsOf(ctx context.Context, db queries, selects []string) ([]string, error) {
	var list []string
	for _, sql := range selects {
		rows, err := db.Query(ctx, sql, pgx.QueryExecModeExec)
		if err != nil {
			return nil, err
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		list = append(list, texts...)
	}
	slices.Sort(list)
	return list, nil
}

func sameTextsOf(what string, want, got []string) error {
	if slices.Equal(want, got) {
		return nil
	}
	return fmt.Errorf("%s rows differ (-want +got):\n%s", what, cmp.Diff(want, got))
}

// sumsAre compares the sums in the books with what is applied.
func (r *round) sumsAre(status projections.Status, applied []es.RecordedEvent) error {
	ids := make([]string, len(applied))
	for i, e := range applied {
		ids[i] = e.ID.String()
	}
	var same bool
	err := r.target.pool.QueryRow(r.ctx, `
		select (e.n, e.h) is not distinct from (s.n, s.h)
		from (select count(*) n, coalesce(bit_xor(uuid_hash_extended(id, 0)), 0) h from unnest($1::text[]::uuid[]) id) e
		cross join (select coalesce(sum(events), 0) n, coalesce(bit_xor(hash), 0) h from asof.sums where build = $2) s`, ids, status.Build).Scan(&same)
	if err == nil && !same {
		err = fmt.Errorf("the sums are not those of the %d events that are applied", len(applied))
	}
	return err
}

// clean looks whether the live build is what a program comes to that was never wrong, but for
// what can never be applied and what is skipped.
func (r *round) clean(m *model) error {
	parked, skipped, err := r.lacks(m)
	if err != nil {
		return err
	}
	want := m.parked(r.history, skipped)
	if diff := cmp.Diff(want, parked, cmp.AllowUnexported(unit{})); diff != "" {
		return fmt.Errorf("other units are parked (-want +got):\n%s", diff)
	}
	if err := r.rowsAre(m, "clean", m.fold(m.parts(r.history, want, skipped))); err != nil {
		return err
	}
	status, err := r.looking(m).Status(r.ctx)
	if err != nil {
		return err
	}
	return r.sumsAre(status, r.history)
}

// verified wants Verify to find no difference.
func (r *round) verified(m *model) error {
	if r.alone {
		return nil
	}
	list, err := r.looking(m).Verify(r.ctx)
	for _, v := range list {
		if d := v.Differences(); len(d) > 0 {
			err = errors.Join(err, fmt.Errorf("Verify says of build %d: %v", v.Build.ID, d))
		}
	}
	return err
}

// rebuilt rebuilds, which must change nothing.
func (r *round) rebuilt(m *model) error {
	var last projections.Progress
	err := r.looking(m).Rebuild(r.ctx, projections.WithChunk(r.chunk), projections.WithProgress(func(p projections.Progress) { last = p }))
	if err != nil {
		return err
	}
	if last.Compared == r.alone || last.Differing != 0 {
		return fmt.Errorf("rebuilt: %+v", last)
	}
	if err := r.clean(m); err != nil {
		return fmt.Errorf("rebuilt: %w", err)
	}
	return nil
}

// asOf reads the tables as of an event of the history.
func (r *round) asOf(m *model) error {
	if r.alone {
		return nil
	}
	_, skipped, err := r.lacks(m)
	if err != nil {
		return err
	}
	moment := r.history[r.moment%len(r.history)]
	for _, at := range []es.AsOf{es.AtPosition(moment.Position), es.AtTime(moment.RecordedAt), es.AtPosition(r.history[len(r.history)-1].Position)} {
		history := prefix(r.history, at)
		err := r.looking(m).AsOf(r.ctx, at, func(ctx context.Context, tx pgx.Tx) error {
			got, err := textsOf(ctx, tx, m.rows(""))
			return errors.Join(err, sameTextsOf("as of "+at.String(), m.fold(m.parts(history, m.parked(history, skipped), skipped)), got))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
