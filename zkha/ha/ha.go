package ha

import (
	"context"
	"fmt"

	"github.com/flott-dev/flott/rpc/ids"
)

// Component names what has an address of its own (Flink's component ids).
type Component string

// The components of an application; a JobMaster's is its job id.
const (
	ResourceManager Component = "resource_manager"
	Dispatcher      Component = "dispatcher"
	RESTServer      Component = "rest_server"
)

// JobMaster is the component of a job's master.
func JobMaster(job ids.JobID) Component { return Component(job.String()) }

// Kind tells leadership events apart.
type Kind uint8

// The events.
const (
	// Grant begins Epoch. After Hold it also ends the held epoch.
	Grant Kind = iota + 1
	// Hold suspends Epoch: nobody else is known to lead, but it cannot be proven.
	Hold
	// Revoke ends Epoch.
	Revoke
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Grant:
		return "grant"
	case Hold:
		return "hold"
	case Revoke:
		return "revoke"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Event is one change of leadership.
type Event struct {
	Kind  Kind
	Epoch ids.Epoch
	Cause error // of Hold and Revoke; may be nil
	Exit  bool  // of Revoke: a higher attempt leads, this process is to end
}

// Contender is told about its leadership. OnLeadership must not block and must not call the Election; it posts to a loop.
type Contender interface{ OnLeadership(Event) }

// Election decides who leads.
type Election interface {
	// Start begins to contend. It returns at once; events come until Close.
	Start(ctx context.Context, c Contender) error
	// Confirm publishes the addresses at which the components of epoch serve now. rpc.ErrFenced when epoch is not current, rpc.ErrOnHold
	// when it is held.
	Confirm(ctx context.Context, epoch ids.Epoch, addresses map[Component]string) error
	// Close gives leadership up. No event comes after it.
	Close()
}

// Leader is where a component is served, and under which epoch. The zero value: nobody is known. Epoch 0 with an address: the epoch is
// not known, the peer will tell.
type Leader struct {
	Address string
	Epoch   ids.Epoch
}

// Retrieval finds leaders.
type Retrieval interface {
	// Watch calls f with the present leader and then with each other one, in order, never with a lower epoch than before. f must not
	// block or call the Retrieval. After stop has returned, f is not called.
	Watch(component Component, f func(Leader)) (stop func())
}

// ResultStore keeps how jobs ended, over leaders and attempts. An instance belongs to one epoch.
type ResultStore interface {
	// Load returns the stored end; found is false when there is none.
	Load(ctx context.Context, job ids.JobID) (data []byte, found bool, err error)
	// Store keeps an end, once: the same bytes again succeed, others are refused with ErrStored; rpc.ErrFenced or rpc.ErrOnHold when the
	// instance's epoch does not lead.
	Store(ctx context.Context, job ids.JobID, data []byte) error
	// Remove deletes it. Idempotent.
	Remove(ctx context.Context, job ids.JobID) error
}

// JobStore keeps which jobs there are: the plan with its effective parallelism. An instance belongs to one epoch; errors as ResultStore.
type JobStore interface {
	// Jobs lists the jobs stored.
	Jobs(ctx context.Context) ([]ids.JobID, error)
	Load(ctx context.Context, job ids.JobID) (data []byte, found bool, err error)
	Store(ctx context.Context, job ids.JobID, data []byte) error
	Remove(ctx context.Context, job ids.JobID) error
}

// Files is what the standalone stores need of a file system; bin/roles fills it from yarn/dfs. Paths are absolute.
type Files interface {
	// CreateOnce makes a file with this content, whole or not at all, for any reader at any time; fs.ErrExist when it is there already.
	// An error other than that leaves open whether it was made.
	CreateOnce(ctx context.Context, path string, data []byte) error
	// Read returns the content; fs.ErrNotExist when it is not there. It reads at most limit bytes and refuses a longer file.
	Read(ctx context.Context, path string, limit int) ([]byte, error)
	// Delete removes the file; absent is success.
	Delete(ctx context.Context, path string) error
}
