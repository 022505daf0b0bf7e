package gateway

import (
	"fmt"
	"sync"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// Closer is the part of a Stream that a Roster uses.
type Closer interface{ Close(cause error) }

// Roster is a worker's list of admitted streams: at most one per leader endpoint, all of one epoch. It refuses streams of a lower epoch
// or of a registration attempt that is not the latest; a stream of a higher epoch closes all lower ones. The zero value with a Resource
// is ready; methods are safe for concurrent use, because streams are accepted on the transport's goroutines.
type Roster struct {
	Resource ids.ResourceID // of this worker

	mu       sync.Mutex
	highest  fence.Highest
	attempts map[string]uint64 // by key, as last begun
	streams  map[string]Closer
}

// RosterKey is the key of a stream: the job's bytes, empty for the ResourceManager.
func RosterKey(open *pb.StreamOpen) string { return string(open.GetJob()) }

// Begin returns the number of the next registration attempt under key: 1, 2, …. Streams of earlier attempts are refused from now on.
func (r *Roster) Begin(key string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attempts == nil {
		r.attempts = map[string]uint64{}
	}
	r.attempts[key]++
	return r.attempts[key]
}

// Epoch returns the highest epoch admitted.
func (r *Roster) Epoch() ids.Epoch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.highest.Epoch()
}

// Admit takes s, or says why not. It closes what s replaces: the earlier stream of the same endpoint, and those of lower epochs.
func (r *Roster) Admit(open *pb.StreamOpen, s Closer) error {
	key := RosterKey(open)
	if got := ids.ResourceID(open.GetResourceId()); got != r.Resource {
		return rpc.New(rpc.UnknownWorker, fmt.Sprintf("this worker is %s, not %s", r.Resource, got))
	}
	r.mu.Lock()
	if current := r.attempts[key]; open.GetAttempt() != current {
		r.mu.Unlock()
		return rpc.New(rpc.Replayed, fmt.Sprintf("registration attempt %d is over, the current one is %d", open.GetAttempt(), current))
	}
	raised, err := r.highest.Admit(ids.Epoch(open.GetEpoch()))
	if err != nil {
		r.mu.Unlock()
		return err
	}
	out := map[Closer]error{}
	if old, ok := r.streams[key]; ok {
		out[old] = rpc.New(rpc.Superseded, "a newer stream took its place")
	}
	if raised {
		for k, old := range r.streams {
			out[old] = &rpc.Error{Code: rpc.Fenced, Msg: "a leader of a higher epoch came", Epoch: r.highest.Epoch()}
			delete(r.streams, k)
		}
	}
	if r.streams == nil {
		r.streams = map[string]Closer{}
	}
	r.streams[key] = s
	r.mu.Unlock()
	for old, cause := range out {
		old.Close(cause)
	}
	return nil
}

// Remove forgets s if it is still listed; call it when s has ended.
func (r *Roster) Remove(key string, s Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams[key] == s {
		delete(r.streams, key)
	}
}

// CloseAll closes every listed stream.
func (r *Roster) CloseAll(cause error) {
	r.mu.Lock()
	streams := r.streams
	r.streams = nil
	r.mu.Unlock()
	for _, s := range streams {
		s.Close(cause)
	}
}
