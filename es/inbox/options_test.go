package inbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// What cannot be is refused by the first call, whichever it is.
func TestOptions_that_cannot_be_are_refused_by_every_call(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for what, c := range map[string]struct {
		box  *inbox.Inbox
		says string
	}{
		"no consumer":        {inbox.New(w.store, ""), "consumer"},
		"long consumer":      {inbox.New(w.store, strings.Repeat("c", inbox.MaxConsumer+1)), "128"},
		"consumer not UTF-8": {inbox.New(w.store, "\xff"), "UTF-8"},
		"zero in consumer":   {inbox.New(w.store, "a\x00b"), "consumer"},
		"no store":           {inbox.New(nil, "reserve"), "store"},
		"negative retention": {inbox.New(w.store, "reserve", inbox.WithRetention(-time.Second)), "retention"},
		"no logger":          {inbox.New(w.store, "reserve", inbox.WithLogger(nil)), "WithLogger"},
		"no types":           {inbox.New(w.store, "reserve", inbox.WithTypes()), "WithTypes"},
		"an empty type":      {inbox.New(w.store, "reserve", inbox.WithTypes("order.placed", "")), "WithTypes"},
		"no type's name":     {inbox.New(w.store, "reserve", inbox.WithTypes("order placed")), "order placed"},
	} {
		m := delivered("/orders", placed("1", 1, 1))
		_, once := c.box.Once(t.Context(), "1", reserve)
		_, prune := c.box.Prune(t.Context())
		_, note := c.box.NoteInTx(t.Context(), nil, m)
		for call, err := range map[string]error{
			"NoteInTx": note, "ForgetInTx": c.box.ForgetInTx(t.Context(), nil, m), "RenewInTx": c.box.RenewInTx(t.Context(), nil, "1"),
			"Once": once, "Prune": prune, "Run": c.box.Run(within(t, 20*time.Second)),
			"Handle": c.box.Handle(reserveFor)(m), "HandleAny": c.box.HandleAny(nil)(m),
			"Accept": c.box.Accept(t.Context(), "/orders", es.NewID(), 0),
		} {
			if !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "inbox: ") {
				t.Errorf("%s: %s: got %v, want an ErrInvalid that says %q", what, call, err, c.says)
			}
		}
	}
	w.want(0, 0)
}

// What only an operator can mend ends Run; other failures do not.
func TestRun_ends_with_what_only_an_operator_can_mend(t *testing.T) {
	t.Parallel()
	store := pgstore.New(embeddedtest.Pool(t)) // without tables
	ctx := within(t, 20*time.Second)
	if err := inbox.New(store, "reserve").Run(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "run the migrations") {
		t.Errorf("got %v, want what to do", err)
	}
}

// Through poolers that know no prepared statements.
func TestInbox_in_every_mode_of_the_driver(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			address := embeddedtest.Database(t)
			pgstoretest.Open(t, address) // makes the tables
			store := pgstoretest.Open(t, address, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }))
			box := inbox.New(store, "reserve", inbox.WithRetention(time.Hour))
			first, second := es.NewID(), es.NewID()
			handle := box.Handle(func(context.Context, es.RecordedEvent, *pgstore.Tx) error { return nil })
			e := placed("1", 1, 1)
			for range 2 {
				if err := handle(of(first, e)); err != nil {
					t.Fatal(err)
				}
			}
			if err := handle(of(second, e)); !errors.Is(err, es.ErrAnotherLife) {
				t.Fatal(err)
			}
			if err := box.Accept(t.Context(), "/orders", second, 1); err != nil {
				t.Fatal(err)
			}
			for _, m := range []es.RecordedEvent{e, placed("2", 1, 2)} {
				if err := handle(of(first, m)); err != nil {
					t.Fatal(err)
				}
			}
			if err := handle(delivered("/orders", placed("3", 1, 1), kafka.LifeHeader(second))); err != nil {
				t.Fatal(err)
			}
			if c := box.Counts(); c != (inbox.Counts{Reacted: 2, Repeated: 2, Late: 1}) {
				t.Errorf("%+v", c)
			}
			if n, err := box.Prune(t.Context()); n != 0 || err != nil {
				t.Errorf("pruned %d, %v", n, err)
			}
		})
	}
}
