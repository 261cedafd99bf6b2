// Package members finds out which members of a consumer group are gone. The brokers notice
// when a session ends, which takes six seconds; but the members that feed a read model have
// its database in common. There each raises a number of its own twice a second, and one whose
// number stands still is taken out of the group by the others.
//
// Nothing but time depends on it: what is applied is fenced by the books, and a member that
// was taken out and lives joins again.
package members

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/books"
)

const (
	// beatEvery is how often a process says that it lives, for all of its members at once.
	beatEvery = 500 * time.Millisecond
	// goneAfter is how long the number of a member that is gone stands still, in the eyes of
	// one who has looked at least goneLooks times meanwhile: what it has not seen for other
	// reasons, as it stood still itself, it does not hold against others.
	goneAfter = 2 * time.Second
	goneLooks = 3
	// beatPatience bounds one beat.
	beatPatience = 2 * time.Second
)

// Member is one of this process.
type Member struct {
	ID     string
	Group  string
	Logger *slog.Logger
	// Remove takes another member out of the group.
	Remove func(ctx context.Context, group, member string) error
}

// rolls are of this process: it has one connection a database for all that it feeds there.
//
//nolint:gochecknoglobals // of the process
var rolls = struct {
	sync.Mutex
	by map[place]*roll
}{by: map[place]*roll{}}

type place struct {
	pool   *pgxpool.Pool
	schema string
}

// Stay says that a member lives until ctx ends, and takes out others of its group that are
// gone.
func Stay(ctx context.Context, k books.Books, m Member) {
	at := place{k.Pool(), k.Schema()}
	rolls.Lock()
	r := rolls.by[at]
	if r == nil {
		r = newRoll(k)
		rolls.by[at] = r
	}
	r.mine[m.ID] = m
	rolls.Unlock()
	<-ctx.Done()
	rolls.Lock()
	delete(r.mine, m.ID)
	last := len(r.mine) == 0
	if last {
		delete(rolls.by, at)
	}
	rolls.Unlock()
	if last {
		r.stop()
	}
}

// roll is the members of a process in one database.
type roll struct {
	books books.Books
	mine  map[string]Member // under the lock of rolls
	told  []string          // who was said to live
	seen  map[string]*sight // others
	work  sync.WaitGroup
	stop  func()
}

// sight is what is known of another member.
type sight struct {
	beats int64
	since time.Time // when the number was seen first
	looks int       // since then
	taken bool      // out of the group, or it is tried
}

func newRoll(k books.Books) *roll {
	ctx, cancel := context.WithCancel(context.Background())
	r := &roll{books: k, mine: map[string]Member{}, seen: map[string]*sight{}}
	r.stop = func() { cancel(); r.work.Wait() }
	r.work.Go(func() { r.run(ctx) })
	return r
}

// run beats on a connection of its own: one of the pool may be waited for.
func (r *roll) run(ctx context.Context) {
	var conn *pgx.Conn
	defer func() { r.leave(conn) }()
	for warned := false; ; {
		err := r.beatOn(ctx, &conn)
		if err != nil && ctx.Err() == nil && !warned {
			warned = true
			r.logger().WarnContext(ctx, "cannot say that this member of the consumer group lives: others may take it out", "error", err)
		}
		if err == nil {
			warned = false
		}
		if wait.For(ctx, beatEvery) != nil {
			return
		}
	}
}

// goodbyePatience bounds what the last member waits for that leaves.
const goodbyePatience = 500 * time.Millisecond

// goodbyeSQL forgets members that have left by themselves. Bind: $1 members.
const goodbyeSQL = `delete from {asof}.members where member = any($1)`

// leave forgets the members that were said to live, so that nobody takes them for dead.
func (r *roll) leave(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbyePatience)
	defer cancel()
	_, _ = conn.Exec(ctx, r.books.SQL(goodbyeSQL), r.told) // or they are taken out
	closeConn(conn)
}

func closeConn(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), beatPatience)
	defer cancel()
	_ = conn.Close(ctx)
}

func (r *roll) logger() *slog.Logger {
	rolls.Lock()
	defer rolls.Unlock()
	for _, m := range r.mine {
		return m.Logger
	}
	return slog.New(slog.DiscardHandler)
}

func (r *roll) beatOn(ctx context.Context, conn **pgx.Conn) error {
	beat, cancel := context.WithTimeout(ctx, beatPatience)
	defer cancel()
	if *conn == nil {
		taken, err := r.books.Pool().Acquire(beat)
		if err != nil {
			return err
		}
		*conn = taken.Hijack()
	}
	err := r.beat(ctx, beat, *conn)
	if err != nil {
		closeConn(*conn)
		*conn = nil
	}
	return err
}

// beatSQL raises the numbers of members, forgets those that have left by themselves, and reads
// those of the others in their groups. Bind: $1 members, $2 their groups, $3 who has left.
const beatSQL = `
with mine as (
    insert into {asof}.members as m (member, group_name, beats, at)
    select u.member, u.group_name, 1, clock_timestamp() from unnest($1::text[], $2::text[]) u (member, group_name)
    on conflict (member) do update set beats = m.beats + 1, at = excluded.at),
old as (delete from {asof}.members where member = any($3) or at < clock_timestamp() - interval '1 hour' and member <> all($1))
select member, group_name, beats from {asof}.members where group_name = any($2) and member <> all($1)`

// other is a member of another process.
type other struct {
	id, group string
	beats     int64
}

func (r *roll) beat(ctx, patient context.Context, conn *pgx.Conn) error {
	ids, groups := r.members()
	if len(ids) == 0 {
		return nil
	}
	left := slices.DeleteFunc(slices.Clone(r.told), func(id string) bool { return slices.Contains(ids, id) })
	rows, err := conn.Query(patient, r.books.SQL(beatSQL), ids, groups, left)
	if err != nil {
		return err
	}
	r.told = slices.Concat(left, ids) // until it is known that it was done
	others, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o other, err error) {
		err = row.Scan(&o.id, &o.group, &o.beats)
		return o, err
	})
	if err == nil {
		r.told = ids
		r.look(ctx, others)
	}
	return err
}

func (r *roll) members() (ids, groups []string) {
	rolls.Lock()
	defer rolls.Unlock()
	for id, m := range r.mine {
		ids, groups = append(ids, id), append(groups, m.Group)
	}
	return ids, groups
}

// look compares what stands there with what was seen before.
func (r *roll) look(ctx context.Context, others []other) {
	now, there := time.Now(), make(map[string]*sight, len(others))
	for _, o := range others {
		s := r.seen[o.id]
		if s == nil || s.beats != o.beats {
			s = &sight{beats: o.beats, since: now}
		}
		s.looks++
		there[o.id] = s
		if !s.taken && s.looks > goneLooks && now.Sub(s.since) >= goneAfter {
			s.taken = true
			r.work.Go(func() { r.take(ctx, o) })
		}
	}
	r.seen = there
}

// leftSQL forgets a member that has not beaten since. Bind: $1 member, $2 its number.
const leftSQL = `delete from {asof}.members where member = $1 and beats = $2`

// take takes a member out of its group.
func (r *roll) take(ctx context.Context, o other) {
	var by Member
	rolls.Lock()
	for _, m := range r.mine {
		if m.Group == o.group {
			by = m
		}
	}
	rolls.Unlock()
	if by.Remove == nil {
		return
	}
	err := by.Remove(ctx, o.group, o.id)
	if err == nil {
		_, err = r.books.Pool().Exec(ctx, r.books.SQL(leftSQL), o.id, o.beats)
	}
	if err != nil && ctx.Err() == nil {
		by.Logger.WarnContext(ctx, "a member of the consumer group that is gone cannot be taken out", "group", o.group, "member", o.id, "error", err)
		return
	}
	by.Logger.InfoContext(ctx, "a member of the consumer group is gone, and was taken out", "group", o.group, "member", o.id)
}
