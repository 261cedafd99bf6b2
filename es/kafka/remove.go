package kafka

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Remove takes a member out of a group whose process is known to be gone, so that the others
// do not wait until its session ends, which takes six seconds. A member that lives joins
// again by itself. It is no error if the group does not have the member. The ids come from
// [Group.Joined].
func (c *Client) Remove(ctx context.Context, group, member string) error {
	if group == "" || member == "" {
		return fmt.Errorf("%w: remove member %q of group %q: name both", ErrInvalid, member, group)
	}
	err := c.retry(ctx, func(ctx context.Context) error {
		answer, err := c.api.LeaveGroup(ctx, &kafkago.LeaveGroupRequest{GroupID: group, Members: []kafkago.LeaveGroupRequestMember{{ID: member}}})
		if err != nil {
			return err
		}
		err = answer.Error
		for _, m := range answer.Members {
			err = errors.Join(err, m.Error)
		}
		if errors.Is(err, kafkago.UnknownMemberId) {
			return nil
		}
		return err
	})
	if err != nil {
		return c.explain(ctx, "remove a member of group "+group, err)
	}
	return nil
}
