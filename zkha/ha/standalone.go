package ha

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
)

// Standalone is the Election of a process that nobody contends with: it leads from Start on. Tests drive the other events. It is also the
// Retrieval of what was confirmed, for components of the same process.
type Standalone struct {
	loop *actor.Loop[standalone]
}

// standalone is the state on the loop; contenders and watchers are called there.
type standalone struct {
	attempt   uint32
	grants    uint32
	contender Contender
	leading   bool
	held      bool
	confirmed map[Component]Leader
	watchers  map[*watcher]struct{}
}

type watcher struct {
	component Component
	f         func(Leader)
	last      Leader
}

// NewStandalone makes the election of an application attempt, counted from 1. Close it.
func NewStandalone(attempt uint32) *Standalone {
	l := actor.New("standalone election", func(actor.Self[standalone]) *standalone {
		return &standalone{attempt: attempt, confirmed: map[Component]Leader{}, watchers: map[*watcher]struct{}{}}
	}, actor.Config[standalone]{OnStop: func(s *standalone) { s.contender = nil }})
	l.Start(context.Background())
	return &Standalone{loop: l}
}

// Start implements Election: the first Grant follows at once.
func (e *Standalone) Start(ctx context.Context, c Contender) error {
	_, err := actor.Call(ctx, e.loop, func(s *standalone) (struct{}, error) {
		if s.contender != nil {
			return struct{}{}, errors.New("ha: the election has a contender already")
		}
		s.contender = c
		return struct{}{}, nil
	})
	if err != nil {
		return fmt.Errorf("start standalone election: %w", err)
	}
	e.Grant()
	return nil
}

// Close implements Election.
func (e *Standalone) Close() { e.loop.Close() }

// Grant begins a new epoch. An epoch that is led, not held, is revoked first.
func (e *Standalone) Grant() { e.loop.Post((*standalone).grant) }

// Hold suspends the epoch, as a loss of ZooKeeper would.
func (e *Standalone) Hold(cause error) {
	e.loop.Post(func(s *standalone) {
		if s.leading && !s.held {
			s.held = true
			s.tell(Event{Kind: Hold, Epoch: s.epoch(), Cause: cause})
		}
	})
}

// Revoke ends the epoch; with exit as if a higher attempt led.
func (e *Standalone) Revoke(cause error, exit bool) {
	e.loop.Post(func(s *standalone) { s.revoke(cause, exit) })
}

// Confirm implements Election.
func (e *Standalone) Confirm(ctx context.Context, epoch ids.Epoch, addresses map[Component]string) error {
	addresses = maps.Clone(addresses)
	_, err := actor.Call(ctx, e.loop, func(s *standalone) (struct{}, error) {
		if err := s.check(epoch); err != nil {
			return struct{}{}, err
		}
		for c, addr := range addresses {
			s.confirmed[c] = Leader{Address: addr, Epoch: epoch}
		}
		s.notify()
		return struct{}{}, nil
	})
	return err
}

// Guard returns the check that a store of epoch makes before each write.
func (e *Standalone) Guard(epoch ids.Epoch) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := actor.Call(ctx, e.loop, func(s *standalone) (struct{}, error) { return struct{}{}, s.check(epoch) })
		return err
	}
}

// Watch implements Retrieval.
func (e *Standalone) Watch(component Component, f func(Leader)) (stop func()) {
	w := &watcher{component: component, f: f}
	e.loop.Post(func(s *standalone) {
		s.watchers[w] = struct{}{}
		w.last = s.confirmed[component]
		f(w.last)
	})
	return func() {
		// After the loop has ended nothing is called anyway.
		actor.Call(context.Background(), e.loop, func(s *standalone) (struct{}, error) {
			delete(s.watchers, w)
			return struct{}{}, nil
		})
	}
}

func (s *standalone) epoch() ids.Epoch { return ids.StandaloneEpoch(s.attempt, s.grants) }

func (s *standalone) check(epoch ids.Epoch) error {
	switch {
	case !s.leading || epoch != s.epoch():
		return &rpc.Error{Code: rpc.Fenced, Msg: fmt.Sprintf("epoch %d does not lead", epoch), Epoch: s.epoch()}
	case s.held:
		return rpc.New(rpc.OnHold, fmt.Sprintf("epoch %d is on hold", epoch))
	}
	return nil
}

func (s *standalone) grant() {
	if s.leading && !s.held {
		s.revoke(nil, false)
	}
	s.grants++
	s.leading, s.held = true, false
	s.tell(Event{Kind: Grant, Epoch: s.epoch()})
}

func (s *standalone) revoke(cause error, exit bool) {
	if !s.leading {
		return
	}
	s.leading, s.held = false, false
	clear(s.confirmed)
	s.tell(Event{Kind: Revoke, Epoch: s.epoch(), Cause: cause, Exit: exit})
	s.notify()
}

func (s *standalone) tell(e Event) {
	if s.contender != nil {
		s.contender.OnLeadership(e)
	}
}

func (s *standalone) notify() {
	for w := range s.watchers {
		if now := s.confirmed[w.component]; now != w.last {
			w.last = now
			w.f(now)
		}
	}
}

// Fixed is the Retrieval of addresses that were told once, by the environment of a container, and do not change.
type Fixed map[Component]Leader

// Watch implements Retrieval: f is called once, before Watch returns.
func (r Fixed) Watch(component Component, f func(Leader)) (stop func()) {
	f(r[component])
	return func() {}
}
