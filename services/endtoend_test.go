// Package services_test runs the shipped services together.
package services_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Orders and inventory run with their relays, reactions and projectors. Shoppers
// send requests that compete for orders and stock, while relays publish everything
// again and reactions are stopped in the middle. In the end all must agree.
func TestServices_agree_in_the_end(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const shoppers, stock = 320, 110
	for _, product := range products() {
		w.receive(product, "first", stock)
	}
	disturbances := []func(){
		w.orders.repeat,
		func() { w.inventory.restart(); w.inventory.repeat() },
		func() { w.orders.restart(); w.orders.repeat() },
		func() {
			for _, product := range products() { // meanwhile more comes in
				w.receive(product, "second", stock/10)
				w.receive(product, "second", stock/10) // once
			}
			w.inventory.repeat()
		},
	}
	wave := shoppers / len(disturbances)
	for i, disturb := range disturbances {
		var group errgroup.Group
		group.SetLimit(8)
		for n := i * wave; n < (i+1)*wave; n++ {
			if n == i*wave+wave/3 {
				group.Go(func() error { disturb(); return nil })
			}
			group.Go(w.shopper(n).shop)
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	w.quiet()
	w.orders.repeat() // all of it once more: nothing may happen
	w.inventory.repeat()
	before := w.orders.head() + w.inventory.head()
	w.quiet()
	if after := w.orders.head() + w.inventory.head(); after != before {
		t.Errorf("%d reactions to messages that were had before", after-before)
	}

	seen := w.look(shoppers)
	seen.checkOrders()
	seen.checkStock(stock + stock/10)
	seen.checkReactions()
	seen.checkReadModels()
}

func (w *world) receive(product, reference string, quantity int64) {
	w.Helper()
	answer, err := w.inventory.api.Do(w, "POST", "/products/"+product+"/receipts", object{"reference": reference, "quantity": quantity})
	if err != nil || answer.Status != 200 {
		w.Error(fmt.Errorf("%s: %d: %s, %w", product, answer.Status, answer.Body, err))
	}
}
