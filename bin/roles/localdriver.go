package roles

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/rpc/ids"
)

// localWorker is a worker inside this process.
type localWorker interface {
	// Close ends it and waits.
	Close() error
}

// localDriver runs workers inside this process. It is the other implementation of resourcemanager.Driver, beside yarndriver.
type localDriver struct {
	// open starts a worker; ended is called once if the worker ends by itself.
	open func(id ids.ResourceID, ended func(cause error)) (localWorker, error)
	log  *slog.Logger

	mu      sync.Mutex
	epoch   ids.Epoch
	sink    func(resourcemanager.Event)
	workers map[ids.ResourceID]localWorker
	count   int
	tasks   sync.WaitGroup // starts and ends under way
}

func newLocalDriver(open func(ids.ResourceID, func(error)) (localWorker, error), log *slog.Logger) *localDriver {
	return &localDriver{open: open, log: log, workers: make(map[ids.ResourceID]localWorker)}
}

// Attach implements resourcemanager.Driver.
func (d *localDriver) Attach(epoch ids.Epoch, sink func(resourcemanager.Event)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if epoch < d.epoch {
		return nil
	}
	d.epoch, d.sink = epoch, sink
	var owned []resourcemanager.Worker
	for id := range d.workers {
		owned = append(owned, resourcemanager.Worker{ID: id})
	}
	sink(resourcemanager.Owned{Workers: owned})
	return nil
}

// Request implements resourcemanager.Driver: a request is served at once, so nothing stays outstanding.
func (d *localDriver) Request(epoch ids.Epoch, outstanding int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if epoch != d.epoch {
		return
	}
	for range outstanding {
		d.count++
		id := ids.ResourceID(fmt.Sprintf("local-%d", d.count))
		d.workers[id] = nil // owned, being started
		d.sink(resourcemanager.Starting{Worker: resourcemanager.Worker{ID: id}})
		d.tasks.Go(func() { d.start(id) })
	}
}

func (d *localDriver) start(id ids.ResourceID) {
	w, err := d.open(id, func(cause error) { d.tasks.Go(func() { d.end(id, cause, false) }) })
	if err != nil {
		d.end(id, fmt.Errorf("start worker %s: %w", id, err), false)
		return
	}
	d.mu.Lock()
	_, wanted := d.workers[id]
	if wanted {
		d.workers[id] = w
	}
	d.mu.Unlock()
	if !wanted {
		d.close(id, w)
	}
}

// Release implements resourcemanager.Driver.
func (d *localDriver) Release(epoch ids.Epoch, id ids.ResourceID, reason string) {
	d.mu.Lock()
	current := epoch == d.epoch
	d.mu.Unlock()
	if current {
		d.tasks.Go(func() { d.end(id, fmt.Errorf("released: %s", reason), true) })
	}
}

// Suspect implements resourcemanager.Driver: the end of a worker inside this process is known at once.
func (d *localDriver) Suspect(ids.Epoch, ids.ResourceID) {}

// end closes a worker and tells that it is gone, once.
func (d *localDriver) end(id ids.ResourceID, cause error, wanted bool) {
	d.mu.Lock()
	w, ok := d.workers[id]
	delete(d.workers, id)
	sink := d.sink
	d.mu.Unlock()
	if !ok {
		return
	}
	if w != nil {
		d.close(id, w)
	}
	sink(resourcemanager.Gone{Worker: id, Cause: cause, Wanted: wanted})
}

func (d *localDriver) close(id ids.ResourceID, w localWorker) {
	if err := w.Close(); err != nil {
		d.log.Warn("closing worker", "worker", string(id), "cause", err)
	}
}

// Finish implements resourcemanager.Driver: there is nobody to tell.
func (d *localDriver) Finish(context.Context, resourcemanager.Status, string) error { return nil }

// Close ends all workers and waits.
func (d *localDriver) Close() {
	d.mu.Lock()
	var all []ids.ResourceID
	for id := range d.workers {
		all = append(all, id)
	}
	d.mu.Unlock()
	for _, id := range all {
		d.end(id, context.Canceled, true)
	}
	d.tasks.Wait()
}
