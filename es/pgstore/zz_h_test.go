package pgstore

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/migrations"
)

func TestZZ(t *testing.T) {
	ctx := context.Background()
	os.MkdirAll("/var/tmp/hpg", 0o711)
	st, err := embedded.Start(ctx, embedded.Config{Dir: "/var/tmp/hpg", Brokers: []string{"x:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	root = st.PostgresPID()
	url, err := st.Database(ctx, fmt.Sprintf("d%d", time.Now().UnixNano()))
	c, _ := pgxpool.ParseConfig(url)
	c.MaxConns = 1
	c.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	pool, _ := pgxpool.NewWithConfig(ctx, c)
	defer pool.Close()
	if err := migrations.Up(ctx, pool); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(ctx, `create sequence bare_position;
create table bare_events (like asof.events including all);
alter table bare_events alter column position set default nextval('bare_position')`); err != nil {
		t.Fatal(err)
	}
	s := New(pool)
	cur := s.sql.one[kindExact]
	noConf := strings.Replace(cur, "on conflict do nothing", "", 1)
	target := strings.Replace(cur, "on conflict do nothing", "on conflict (category, stream_id, version) do nothing", 1)
	noLock := strings.Replace(noConf, "select pg_advisory_xact_lock_shared("+fmt.Sprintf(lockKey, "'\"asof\".\"events\"'")+")", "select 1", 1)
	if noLock == noConf {
		t.Fatal(noConf)
	}
	flat := `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
select nextval('asof.events_position'), $1, $2, $3::bigint + 1, $4, $5, $6, $7, $8, $9, greatest(clock_timestamp(), last.recorded_at)
from (select pg_advisory_xact_lock_shared(` + fmt.Sprintf(lockKey, "'\"asof\".\"events\"'") + `) offset 0) l left join (select version, recorded_at from asof.events where category=$1 and stream_id=$2 and version = $3) last on true
where $3::bigint = 0 or last.version is not null returning position, version, recorded_at`
	flat2 := `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
select nextval('asof.events_position'), $1, $2, $3::bigint + 1, $4, $5, $6, $7, $8, $9, greatest(clock_timestamp(), last.recorded_at)
from (select pg_advisory_xact_lock_shared(` + fmt.Sprintf(lockKey, "'\"asof\".\"events\"'") + `) offset 0) l left join lateral (select version, recorded_at from asof.events where category=$1 and stream_id=$2 and version >= $3 order by version desc limit 1) last on true
where coalesce(last.version,0) = $3 returning position, version, recorded_at`
	flat0 := `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
select nextval('asof.events_position'), $1, $2, $3::bigint + 1, $4, $5, $6, $7, $8, $9, now
from (select pg_advisory_xact_lock_shared(` + fmt.Sprintf(lockKey, "'\"asof\".\"events\"'") + `), clock_timestamp() as now offset 0) l
returning position, version, recorded_at`
	flat3 := `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
select nextval('asof.events_position'), $1, $2, $3::bigint + 1, $4, $5, $6, $7, $8, $9, greatest(now, at)
from (select pg_advisory_xact_lock_shared(` + fmt.Sprintf(lockKey, "'\"asof\".\"events\"'") + `), clock_timestamp() as now, (select recorded_at from asof.events where category=$1 and stream_id=$2 and version = $3) as at offset 0) l
where $3::bigint = 0 or at is not null returning position, version, recorded_at`
	_ = target
	bareRet := `insert into bare_events (category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
values ($1, $2, $3::bigint+1, $4, $5, $6, $7, $8, $9, clock_timestamp())`
	bareConf := bareRet + " on conflict do nothing"
	payload := []byte(fmt.Sprintf(`{"text":"%0189d"}`, 0))
	q := func(sql string) func(context.Context, *pgxpool.Pool, string, int) error {
		return func(ctx context.Context, p *pgxpool.Pool, id string, v int) error {
			x := int64(v)
			rows, err := p.Query(ctx, sql, "bench", id, &x, [16]byte(es.NewID()), "bench.appended", 1, nil, payload, []byte{})
			if err != nil {
				return err
			}
			if !rows.Next() {
				rows.Close()
				return fmt.Errorf("no row: %v", rows.Err())
			}
			var a, b int64
			var c time.Time
			if err := rows.Scan(&a, &b, &c); err != nil {
				return err
			}
			rows.Close()
			return rows.Err()
		}
	}
	e := func(sql string) func(context.Context, *pgxpool.Pool, string, int) error {
		return func(ctx context.Context, p *pgxpool.Pool, id string, v int) error {
			_, err := p.Exec(ctx, sql, "bench", id, int64(v), [16]byte(es.NewID()), "bench.appended", 1, nil, payload, []byte{})
			return err
		}
	}
	_ = pgx.ErrNoRows
	variants := []struct {
		name string
		f    func(context.Context, *pgxpool.Pool, string, int) error
	}{
		{"bare exec", e(bareRet)},
		{"bare query ret", q(bareRet + " returning position, version, recorded_at")},
		{"bare on conflict", e(bareConf)},
		{"current", q(cur)},

		{"noConf", q(noConf)},
		{"noLock+noConf", q(noLock)},
		{"flat", q(flat)},
		{"flat2", q(flat2)},
		{"flat0", q(flat0)},
		{"flat0 nolock", q(strings.Replace(flat0, "pg_advisory_xact_lock_shared("+fmt.Sprintf(lockKey, "'\"asof\".\"events\"'")+")", "1", 1))},
		{"flat scalar", q(flat3)},
		{"flat+conf", q(strings.Replace(flat, "returning", "on conflict do nothing returning", 1))},
		{"flat+target", q(strings.Replace(flat, "returning", "on conflict (category, stream_id, version) do nothing returning", 1))},
		{"flat2+conf", q(strings.Replace(flat2, "returning", "on conflict do nothing returning", 1))},
		{"append", func(ctx context.Context, p *pgxpool.Pool, id string, v int) error {
			_, err := s.Append(ctx, es.StreamID{Category: "bench", ID: id}, es.Exactly(es.Version(v)), es.EventData{ID: es.NewID(), Type: "bench.appended", Data: payload})
			return err
		}},
	}
	for range 4 {
		for _, v := range variants {

			id := ""
			c, sc := serverCPU(), selfCPU()
			ops := 10000
			for n := range ops {
				if n%10 == 0 {
					id = uuid.NewString()
				}
				if err := v.f(ctx, pool, id, n%10); err != nil {
					panic(err)
				}
			}
			fmt.Printf("%s %.1f self %.1f\n", v.name, (serverCPU()-c)/float64(ops)/1000, (selfCPU()-sc)/float64(ops)/1000)
		}
	}
}

func selfCPU() float64 { return schedOf(os.Getpid()) }

func schedOf(pid int) float64 {
	total := 0.0
	ents, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range ents {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, e.Name()))
		var ns float64
		fmt.Sscan(string(b), &ns)
		total += ns
	}
	return total
}

var root int

func serverCPU() float64 {
	total := 0.0
	ents, _ := os.ReadDir("/proc")
	for _, e := range ents {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		st, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		i := strings.LastIndex(string(st), ")")
		var state string
		var ppid int
		fmt.Sscan(string(st)[i+1:], &state, &ppid)
		if ppid == root || pid == root {
			total += schedOf(pid)
		}
	}
	return total
}

func rateOf(n int, d time.Duration, f func(w, i int) error) float64 {
	var wg sync.WaitGroup
	counts := make([]int, n)
	b := time.Now()
	for w := range n {
		wg.Go(func() {
			for i := 0; time.Since(b) < d; i++ {
				if err := f(w, i); err != nil {
					panic(err)
				}
				counts[w]++
			}
		})
	}
	wg.Wait()
	t := 0
	for _, c := range counts {
		t += c
	}
	return float64(t) / time.Since(b).Seconds()
}
