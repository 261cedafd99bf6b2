// Package ahead lets what is made while its taker is busy be taken at once.
package ahead

import "context"

// Pass hands on what comes in, in order, until in is closed or ctx ends. As long as nobody
// takes, it adds what comes to what waits; what does not fit to it waits behind, alone.
func Pass[T any](ctx context.Context, in <-chan T, out chan<- T, fits func(waiting, next T) bool, add func(waiting, next T) T) {
	var queue []T // what waits, and one that does not fit
	for open := true; open || len(queue) > 0; {
		from, to := in, out
		var first T
		if !open || len(queue) > 1 {
			from = nil
		}
		if len(queue) > 0 {
			first = queue[0]
		} else {
			to = nil
		}
		select {
		case next, ok := <-from:
			switch {
			case !ok:
				open = false
			case len(queue) > 0 && fits(first, next):
				queue[0] = add(first, next)
			default:
				queue = append(queue, next)
			}
		case to <- first:
			queue = queue[1:]
		case <-ctx.Done():
			return
		}
	}
}
