package executor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/zkha/ha"
)

func TestRegistersAndSendsInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		var got *pb.RegisterTaskExecutorRequest
		l := c.lead("am", 7)
		l.answerRM(func(r *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) { got = r; return nil, nil })
		l.announce()
		s, inv := l.registered()
		if got.GetAddress() != "worker" || got.GetEpoch() != 7 || got.GetAttempt() != 1 || got.GetResourceId() != string(worker) || got.GetSlots() != 2 {
			t.Errorf("registered with %v", got)
		}
		if n := len(inv.GetSlots()); n != 2 || inv.GetSlots()[1].GetState() != pb.SlotState_FREE || inv.GetSlots()[1].GetIndex() != 1 {
			t.Errorf("inventory %v, want two free slots", inv)
		}
		send(t, s, beat())
		if m := next(t, s); !m.HasHeartbeat() || len(m.GetHeartbeat().GetSlots()) != 2 {
			t.Errorf("answer to a heartbeat: %v, want the slot report", m)
		}
		if len(l.calls) != 1 {
			t.Errorf("%d registrations, want 1", len(l.calls))
		}
	})
}

func TestRegistrationRetries(t *testing.T) {
	fail := errors.New("broken")
	for _, c := range []struct {
		name   string
		answer func(l *leader) (*pb.RegistrationResponse, error)
		want   time.Duration // between the first two calls
	}{
		{"failure names its delay", func(l *leader) (*pb.RegistrationResponse, error) { return l.failure(500 * time.Millisecond), nil }, 500 * time.Millisecond},
		{"failure without delay", func(l *leader) (*pb.RegistrationResponse, error) { return l.failure(0), nil }, 30 * time.Second},
		{"error", func(*leader) (*pb.RegistrationResponse, error) { return nil, fail }, 10 * time.Second},
		{"no leader there yet", func(*leader) (*pb.RegistrationResponse, error) { return nil, rpc.ErrNoLeader }, notThereYet},
		{"worker not known yet", func(*leader) (*pb.RegistrationResponse, error) { return nil, rpc.ErrUnknownWorker }, notThereYet},
		{"on hold", func(*leader) (*pb.RegistrationResponse, error) { return nil, rpc.ErrOnHold }, notThereYet},
		{"other epoch", func(*leader) (*pb.RegistrationResponse, error) { return nil, &rpc.Error{Code: rpc.Fenced, Epoch: 9} }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, nil)
				l := cl.lead("am", 9)
				l.answerRM(func(req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
					if req.GetAttempt() == 1 {
						return c.answer(l)
					}
					return nil, nil
				})
				cl.leaders.f(ha.Leader{Address: "am", Epoch: 3})
				l.registered()
				if got := l.calls[1] - l.calls[0]; got != c.want {
					t.Errorf("second attempt after %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestConnectsWhenLeaderAppears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		c.leaders.f(ha.Leader{Address: "am", Epoch: 1})
		wait(time.Minute)
		l := c.lead("am", 1)
		l.registered()
		if got := l.calls[0] - time.Minute; got > time.Second {
			t.Errorf("registered %v after the leader appeared, want at most 1 s", got)
		}
	})
}

func TestRejectionIsFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 1)
		l.answerRM(func(*pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
			return pb.RegistrationResponse_builder{Epoch: 1, Rejection: pb.RegistrationRejection_builder{Reason: "unknown"}.Build()}.Build(), nil
		})
		l.announce()
		wait(time.Hour)
		var rejected *RejectedError
		if len(c.fatal()) != 1 || !errors.As(c.fatal()[0], &rejected) || rejected.Reason != "unknown" {
			t.Errorf("fatal errors %v, want one rejection", c.fatal())
		}
		if len(l.calls) != 1 {
			t.Errorf("%d registrations after a rejection, want 1", len(l.calls))
		}
	})
}

func TestRegistrationTimeout(t *testing.T) {
	timedOut := func(c *cluster) bool {
		var e *RegistrationTimeoutError
		return len(c.fatal()) == 1 && errors.As(c.fatal()[0], &e)
	}
	t.Run("no leader", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, nil)
			wait(5*time.Minute - time.Millisecond)
			if len(c.fatal()) != 0 {
				t.Fatalf("fatal before the timeout: %v", c.fatal())
			}
			wait(time.Millisecond)
			if !timedOut(c) {
				t.Errorf("fatal errors %v, want the registration timeout", c.fatal())
			}
		})
	})
	t.Run("armed again when the leader is lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, nil)
			l := c.lead("am", 1)
			l.announce()
			s, _ := l.registered()
			for range 400 {
				send(t, s, beat())
				next(t, s)
				wait(time.Second)
			}
			if len(c.fatal()) != 0 {
				t.Fatalf("fatal while registered: %v", c.fatal())
			}
			l.server.Kill()
			s.Close(errors.New("killed"))
			wait(5*time.Minute - time.Second)
			if len(c.fatal()) != 0 {
				t.Fatalf("fatal %v before the timeout", c.fatal())
			}
			wait(2 * time.Second)
			if !timedOut(c) {
				t.Errorf("fatal errors %v, want the registration timeout", c.fatal())
			}
		})
	})
	t.Run("never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, func(cfg *Config) { cfg.RegistrationTimeout = -1 })
			wait(24 * time.Hour)
			if len(c.fatal()) != 0 {
				t.Errorf("fatal errors %v, want none", c.fatal())
			}
		})
	})
}

func TestRefusesStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.announce()
		l.registered()
		job := ids.NewJobID()
		te := c.dialer.TaskExecutor("worker")
		for _, o := range []struct {
			name string
			open pb.StreamOpen_builder
			want error
		}{
			{"lower epoch", pb.StreamOpen_builder{Epoch: 4, ResourceId: string(worker), Attempt: 1}, rpc.ErrFenced},
			{"no epoch", pb.StreamOpen_builder{ResourceId: string(worker), Attempt: 1}, rpc.ErrFenced},
			{"earlier attempt", pb.StreamOpen_builder{Epoch: 5, ResourceId: string(worker), Attempt: 7}, rpc.ErrReplayed},
			{"no attempt", pb.StreamOpen_builder{Epoch: 5, ResourceId: string(worker)}, &rpc.Error{Code: rpc.Invalid}},
			{"other worker", pb.StreamOpen_builder{Epoch: 5, ResourceId: "container_2", Attempt: 1}, rpc.ErrUnknownWorker},
		} {
			if _, err := te.OpenResourceManager(t.Context(), o.open.Build()); !errors.Is(err, o.want) || !rpc.Refused(err) {
				t.Errorf("%s: got %v, want %v", o.name, err, o.want)
			}
		}
		if _, err := l.openJob(t.Context(), 1, job.Bytes()); !errors.Is(err, rpc.ErrUnknownJob) {
			t.Errorf("stream of an unknown job: got %v, want %v", err, rpc.ErrUnknownJob)
		}
	})
}

func TestBrokenStreamIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.announce()
		s, _ := l.registered()
		wait(time.Minute / 60 * 5)
		s.Close(errors.New("broken"))
		s2, _ := l.registered()
		if l.attempt != 2 {
			t.Errorf("registration attempt %d, want 2", l.attempt)
		}
		if _, err := l.openRM(t.Context(), 1); !errors.Is(err, rpc.ErrReplayed) {
			t.Errorf("a stream of the earlier attempt: got %v, want %v", err, rpc.ErrReplayed)
		}
		// The leader may open the current attempt's stream again by itself: it replaces the other one.
		s3, err := l.openRM(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := ended(t, s2); !errors.Is(err, rpc.ErrSuperseded) {
			t.Errorf("the replaced stream ended with %v, want %v", err, rpc.ErrSuperseded)
		}
		if m := next(t, s3); !m.HasInventory() {
			t.Errorf("first message %v, want the inventory", m)
		}
		wait(time.Second)
		if len(l.calls) != 2 {
			t.Errorf("%d registrations, want 2", len(l.calls))
		}
	})
}

func TestSilentLeaderIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.announce()
		s, _ := l.registered()
		err := ended(t, s)
		if got := time.Since(c.started); !errors.Is(err, rpc.ErrTimeout) || got != 8*time.Second {
			t.Errorf("stream ended after %v with %v, want after 8 s", got, err)
		}
		l.registered()
		if len(c.fatal()) != 0 {
			t.Errorf("fatal errors %v, want none", c.fatal())
		}
	})
}

func TestShortConnectionsDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.announce()
		for time.Since(c.started) < 10*time.Second {
			s := <-l.rm
			s.Close(errors.New("no"))
		}
		if n := len(l.calls); n > 52 {
			t.Errorf("%d registrations in 10 s, want at most one each 200 ms", n)
		}
	})
}

func TestNewLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.announce()
		s, _ := l.registered()
		l2 := c.lead("am2", 6)
		l2.announce()
		s2, _ := l2.registered()
		if err := ended(t, s); err == nil {
			t.Error("the old leader's stream lives on")
		}
		l.announce() // late news
		wait(time.Second)
		if _, err := l.openRM(t.Context(), l2.attempt); !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != 6 {
			t.Errorf("stream of the old leader: got %v, want it fenced by epoch 6", err)
		}
		send(t, s2, beat())
		next(t, s2)
		if len(l.calls) != 1 {
			t.Errorf("%d registrations at the old leader, want 1", len(l.calls))
		}
	})
}

func TestSlowAnswerDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.answerRM(func(req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
			s, err := l.openRM(context.Background(), req.GetAttempt())
			if err != nil {
				return nil, err
			}
			l.rm <- s
			<-time.After(20 * time.Second)
			return l.success(), nil
		})
		l.announce()
		s, _ := l.registered()
		for range 20 {
			send(t, s, beat())
			next(t, s)
			wait(time.Second)
		}
		if len(l.calls) != 1 {
			t.Errorf("%d registrations, want 1: the stream is up whatever becomes of the answer", len(l.calls))
		}
	})
}

func TestGoodbye(t *testing.T) {
	goodbye := func(exit bool) *pb.FromResourceManager {
		return pb.FromResourceManager_builder{Goodbye: pb.Goodbye_builder{Reason: "idle", Exit: exit}.Build()}.Build()
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.announce()
		s, _ := l.registered()
		send(t, s, goodbye(false))
		s, _ = l.registered()
		if len(c.fatal()) != 0 {
			t.Fatalf("fatal errors %v after a goodbye without exit", c.fatal())
		}
		send(t, s, goodbye(true))
		synctest.Wait()
		var dismissed *DismissedError
		if len(c.fatal()) != 1 || !errors.As(c.fatal()[0], &dismissed) || dismissed.Reason != "idle" {
			t.Errorf("fatal errors %v, want the dismissal", c.fatal())
		}
	})
}

func TestCloseSaysThatTheWorkerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		l := c.lead("am", 5)
		l.announce()
		s, _ := l.registered()
		go c.te.Close()
		if m := next(t, s); !m.HasLeaving() {
			t.Errorf("got %v, want that the worker leaves", m)
		}
		if err := ended(t, s); !errors.Is(err, rpc.ErrStopped) {
			t.Errorf("stream ended with %v, want %v", err, rpc.ErrStopped)
		}
		synctest.Wait()
		if _, err := l.openRM(t.Context(), 1); !errors.Is(err, rpc.ErrStopped) {
			t.Errorf("open a stream of a closed worker: got %v, want %v", err, rpc.ErrStopped)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
}
