package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// fedSQL reads how far each live read model has read its topics. These offsets move
// only with messages that were applied, so a projector that lived on the log alone
// would stand still here.
const fedSQL = `
select b.name, p.topic, p.partition, p.next_offset
from asof.builds b join asof.offsets p on p.build = b.id
where b.status = 'live' and b.source like 'kafka topic%'`

type readUpTo struct {
	Name      string
	Topic     string
	Partition int
	Next      int64
}

// fed checks that Kafka feeds the read models, which would be right without it too.
func (s *scenario) fed(ctx context.Context) {
	for _, of := range []struct {
		service service
		db      database
		models  int
	}{{s.orders, s.ordersDB, 2}, {s.inventory, s.stockDB, 1}} {
		messages, err := s.fedByKafka(ctx, of.db, of.models)
		s.check("the read models of "+of.service.name+" have read Kafka to its end", err, "%d messages", messages)
	}
}

// fedByKafka checks that the read models of a database have read their topics to the
// end, and returns how many messages that were.
func (s *scenario) fedByKafka(ctx context.Context, db database, models int) (messages int64, err error) {
	err = s.poll(ctx, 30*time.Second, func() (bool, error) {
		rows, err := db.pool.Query(ctx, fedSQL)
		if err != nil {
			return false, err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[readUpTo])
		if err != nil {
			return false, err
		}
		messages = 0
		left, names := int64(0), map[string]bool{}
		for _, f := range list {
			heads, err := s.kafka.Heads(ctx, f.Topic)
			if err != nil {
				return false, err
			}
			names[f.Name] = true
			messages += f.Next
			left += heads[f.Partition] - f.Next
		}
		return left == 0 && messages > 0 && len(names) == models, nil
	})
	if err != nil {
		err = fmt.Errorf("they have read %d messages and not all: %w", messages, err)
	}
	return messages, err
}
