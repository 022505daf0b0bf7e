package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/heartbeat"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/registration"
	"github.com/flott-dev/flott/zkha/ha"
)

var (
	errStopping error = rpc.New(rpc.Stopped, "the worker is stopping")
	errSilent   error = rpc.New(rpc.Timeout, "no heartbeat within heartbeat.timeout")
	errMoved    error = rpc.New(rpc.Superseded, "another leader is known")
)

const (
	// shortLived is the life of a connection after whose end the next registration waits for reconnectPause: accepting and closing must
	// not become a busy loop.
	shortLived     = time.Second
	reconnectPause = 200 * time.Millisecond
	// notThereYet is the pause after a leader has answered that it does not lead, or not know the job or the worker, yet.
	notThereYet = 500 * time.Millisecond
)

// link is the worker's relation to one endpoint of the leader. It registers until a stream is accepted.
type link[S, R gateway.Envelope] struct {
	key    string    // in the roster: the job's bytes, or empty
	target ha.Leader // where to register, and under which epoch
	registering

	stream  *gateway.Stream[S, R] // current, nil while there is none
	epoch   ids.Epoch             // of the last stream
	ready   bool                  // the inventory has been sent
	since   time.Time             // when stream was accepted
	reading chan struct{}         // closed when the reader of the last stream has ended
	monitor *heartbeat.Monitor
	answers answers
}

// registering is the part of a link that is at work while there is no stream.
type registering struct {
	running *registration.Registration[core]
	pause   func() bool
}

func (r *registering) stop() {
	if r.running != nil {
		r.running.Stop()
		r.running = nil
	}
	if r.pause != nil {
		r.pause()
		r.pause = nil
	}
}

// peer says what a link's messages and its end mean.
type peer[R any] struct {
	inventory func(c *core) // first thing on a new stream
	handle    func(c *core, m R)
	lost      func(c *core, cause error)
}

// send puts m on the stream after the inventory; before it, the inventory will tell what m would.
func (l *link[S, R]) send(c *core, m S) {
	if !l.ready {
		return
	}
	if err := l.stream.Send(m); err != nil {
		c.log.Warn("message not sent", "to", fmt.Sprintf("%x", l.key), "error", err) // a broken stream is reported by its reader
	}
}

// admit takes a stream that the peer has opened, or says why not.
func admit[S, R gateway.Envelope](c *core, l *link[S, R], open *pb.StreamOpen, s *gateway.Stream[S, R], p peer[R]) error {
	if open.GetAttempt() == 0 {
		return rpc.New(rpc.Invalid, "the header of the stream has no registration attempt")
	}
	if err := c.roster.Admit(open, s); err != nil {
		return err
	}
	l.stop()
	old := l.reading
	l.stream, l.ready, l.since, l.reading = s, false, c.self.Now(), make(chan struct{})
	l.epoch, l.target.Epoch = ids.Epoch(open.GetEpoch()), ids.Epoch(open.GetEpoch())
	l.monitor = heartbeat.New(c.cfg.Heartbeat, c.self.Now())
	read(c, l, s, old, p)
	return nil
}

// read runs the reader of a stream. The reader before it has been told to end, since its stream is closed; only when it has, the
// inventory is built, so that nothing of the old stream is acted on after it.
func read[S, R gateway.Envelope](c *core, l *link[S, R], s *gateway.Stream[S, R], old chan struct{}, p peer[R]) {
	ended := l.reading
	post := func(f func(c *core)) {
		c.self.Post(func(c *core) {
			if l.stream == s {
				f(c)
				c.arm()
			}
		})
	}
	actor.Go(c.self, func(ctx context.Context) (struct{}, error) {
		defer close(ended)
		if old != nil {
			<-old
		}
		post(func(c *core) {
			l.ready = true
			p.inventory(c)
		})
		for {
			m, err := s.Recv(ctx)
			if err != nil {
				return struct{}{}, err
			}
			post(func(c *core) {
				l.monitor.Heard(c.self.Now())
				p.handle(c, m)
			})
		}
	}, func(c *core, _ struct{}, err error) { dropped(c, l, s, err, p) })
}

// dropped is called when a stream has ended or is given up.
func dropped[S, R gateway.Envelope](c *core, l *link[S, R], s *gateway.Stream[S, R], cause error, p peer[R]) {
	c.roster.Remove(l.key, s)
	if s == nil || l.stream != s {
		return
	}
	s.Close(cause)
	l.stream, l.ready = nil, false
	l.monitor.Cancel()
	p.lost(c, cause)
	c.arm()
}

// check ends the link's stream when the peer has been silent for too long.
func check[S, R gateway.Envelope](c *core, l *link[S, R], now time.Time, p peer[R]) {
	if l.stream == nil {
		return
	}
	if state, _ := l.monitor.Tick(now); state == heartbeat.TimedOut {
		dropped(c, l, l.stream, errSilent, p)
	}
}

func (l *link[S, R]) next() time.Time {
	if l.stream == nil {
		return time.Time{}
	}
	return l.monitor.Next()
}

// again calls f, which registers, now, or after a pause when the last stream did not live long.
func (l *link[S, R]) again(c *core, f func(*core)) {
	l.stop()
	if l.since.IsZero() || c.self.Now().Sub(l.since) >= shortLived {
		f(c)
		return
	}
	l.pause = c.self.After(reconnectPause, func(c *core) {
		l.pause = nil
		f(c)
	})
}

// begin registers at the target until it succeeds. call gets the epoch and the number of the attempt.
func begin[S, R gateway.Envelope](c *core, l *link[S, R], call func(ctx context.Context, epoch ids.Epoch, attempt uint64) (*pb.RegistrationResponse, error),
	over func(*core, registration.Result)) {
	l.stop()
	epoch := l.target.Epoch
	soon := []error{rpc.ErrNoLeader, rpc.ErrUnknownJob, rpc.ErrUnknownWorker, rpc.ErrOnHold}
	var attempt uint64 // a leader with much to do answers late: asked again, it must not find what it has begun to be outdated
	l.running = registration.Begin(c.self, c.cfg.Retry, c.log, epoch, func(ctx context.Context, again bool) (*pb.RegistrationResponse, error) {
		if !again {
			attempt = c.roster.Begin(l.key)
		}
		resp, err := call(ctx, epoch, attempt)
		if slices.ContainsFunc(soon, func(e error) bool { return errors.Is(err, e) }) {
			return pb.RegistrationResponse_builder{Epoch: uint64(epoch), Failure: pb.RegistrationFailure_builder{
				Reason: err.Error(), RetryAfterMillis: uint64(notThereYet.Milliseconds()),
			}.Build()}.Build(), nil
		}
		return resp, err
	}, func(c *core, r registration.Result) {
		l.running = nil
		if r.Event == registration.Succeeded { // but its stream has ended already
			l.since = c.self.Now()
		}
		over(c, r)
		c.arm()
	})
}

// answers remembers what was answered to the requests of one leader, so that a repeated request changes nothing.
type answers struct {
	epoch ids.Epoch
	given map[uint64]*pb.Response // nil: not yet
}

// rememberedAnswers bounds the memory; a leader numbers its requests upwards and repeats only what is not answered.
const rememberedAnswers = 4096

// begin says whether a request is new; if not, answer is what was answered, nil while it is being worked on.
func (a *answers) begin(epoch ids.Epoch, id uint64) (answer *pb.Response, isNew bool) {
	if a.epoch != epoch || a.given == nil {
		a.epoch, a.given = epoch, map[uint64]*pb.Response{}
	}
	if r, ok := a.given[id]; ok {
		return r, false
	}
	a.given[id] = nil
	if len(a.given) > rememberedAnswers {
		for old := range a.given {
			if old+rememberedAnswers/2 < id {
				delete(a.given, old)
			}
		}
	}
	return nil, true
}

func (a *answers) end(epoch ids.Epoch, r *pb.Response) {
	if a.epoch == epoch && a.given != nil {
		a.given[r.GetRequestId()] = r
	}
}

func (c *core) response(id uint64, err error) *pb.Response {
	return pb.Response_builder{RequestId: id, Failure: gateway.FailureToPB(err, c.self.Now())}.Build()
}

func invalid(what string, err error) error {
	return rpc.Wrap(rpc.Invalid, fmt.Sprintf("read %s", what), err)
}
