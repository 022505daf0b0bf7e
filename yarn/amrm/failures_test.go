package amrm

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/yarn/yarnid"
)

// The tests of this file follow the table "exception → action" of the protocol; each name carries its row.

// busy returns a driver with two kinds of containers asked for, one container held and one release unconfirmed.
func busy(t *testing.T) *driver {
	d := registered(t)
	d.do(cmdAsk{ask(small, 4)})
	d.do(cmdAsk{ask(large, 2)})
	d.do(cmdBlacklist{add: []string{"bad"}})
	d.round(allocateResponse{})
	d.round(allocateResponse{allocated: containers(small, 2, 3)})
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(3)}})
	d.round(allocateResponse{})
	d.takeEvents()
	return d
}

func TestRowNotRegisteredResendsWholeState(t *testing.T) {
	d := busy(t)
	d.wantAllocate()
	d.fail(failNotRegistered, "")
	d.next()
	if d.call.register == nil || d.call.register.trackingURL != "http://nm1:8081" {
		t.Fatalf("got call %+v, want register with the first address", d.call)
	}
	d.end(registerDone{resp: registerResponse{reg: Registration{PreviousContainers: containers(small, 2, 8)}}})
	d.wantEvents(Reregistered{}, PreviousContainers{containers(small, 8)})
	req := d.wantAllocate()
	if req.responseID != 0 {
		t.Errorf("response id: got %d, want 0", req.responseID)
	}
	d.wantCounts(req, map[AskKey]int{small: 2, large: 2})
	if want := []yarnid.ContainerID{containerID(3)}; !slices.Equal(req.releases, want) {
		t.Errorf("releases: got %v, want %v", req.releases, want)
	}
	if !slices.Equal(req.blackAdd, []string{"bad"}) {
		t.Errorf("blacklist: got %v, want [bad]", req.blackAdd)
	}
	d.answer(allocateResponse{responseID: 1})
	if req := d.round(allocateResponse{}); len(req.asks)+len(req.releases)+len(req.blackAdd) > 0 {
		t.Errorf("second allocate: got %+v, want nothing said twice", req)
	}
}

func TestRowNotRegisteredForgetsDeltaInFlight(t *testing.T) {
	d := busy(t)
	d.do(cmdAsk{ask(small, 5)})
	d.wantAllocate()
	d.do(cmdAsk{ask(small, 1)}) // changed again before the answer
	d.fail(failNotRegistered, "")
	d.next()
	d.end(registerDone{})
	d.wantCounts(d.wantAllocate(), map[AskKey]int{small: 1, large: 2})
}

func TestRowNotRegisteredOldReleasesAreForgotten(t *testing.T) {
	d := busy(t)
	d.now = d.now.Add(releaseMemory + time.Minute)
	d.wantAllocate()
	d.fail(failNotRegistered, "")
	d.next()
	d.end(registerDone{})
	if req := d.wantAllocate(); len(req.releases) > 0 {
		t.Errorf("releases: got %v, want none after %v", req.releases, releaseMemory)
	}
}

func TestRowAttemptNotFoundTerminates(t *testing.T) {
	d := busy(t)
	d.wantAllocate()
	d.fail(failAttemptGone, "Application attempt appattempt_1 doesn't exist\n\tat java")
	d.wantEvents(Terminated{fmt.Errorf("%w: %s", ErrAttemptGone, "Application attempt appattempt_1 doesn't exist")})
	d.do(cmdAsk{ask(small, 9)})
	d.do(tick{})
	if _, ok := d.core.Deadline(); ok || d.call != nil {
		t.Error("the session goes on after Terminated")
	}
}

func TestRowTokenNotFoundIsAttemptGone(t *testing.T) {
	message := "appattempt_1_0001_000001 not found in AMRMTokenSecretManager."
	if got := classifyRemote(invalidTokenClass, message); got != failAttemptGone {
		t.Errorf("got kind %v, want failAttemptGone", got)
	}
}

func TestRowInvalidTokenTriesAnotherThenTerminates(t *testing.T) {
	if got := classifyRemote(invalidTokenClass, "Invalid AMRMToken from appattempt_1"); got != failToken {
		t.Errorf("got kind %v, want failToken", got)
	}
	d := busy(t)
	req := d.wantAllocate()
	d.fail(failToken, "Invalid AMRMToken")
	if len(d.other) != 1 || d.other[0] != (reloadToken{}) || d.call != nil {
		t.Fatalf("effects %v, call %v; want reloadToken only", d.other, d.call)
	}
	d.do(tokenReloaded{tok: second, ok: true})
	if again := d.wantAllocate(); again != req || d.call.tok != second {
		t.Errorf("got %+v with %v, want the same request with the second token", again, d.call.tok)
	}
	d.wantEvents(TokenRolled{second})
	d.fail(failToken, "Invalid AMRMToken")
	d.do(tokenReloaded{tok: second, ok: true})
	d.wantEvents(Terminated{ErrTokenRejected})
}

func TestRowInvalidResourceRequestDropsSingleAsk(t *testing.T) {
	d := registered(t)
	huge := ask(small, 2)
	d.do(cmdAsk{huge})
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(4)}})
	d.wantAllocate()
	d.fail(failAsk, "Invalid resource request! maximum is 100\n\tat java")
	d.wantEvents(AskRejected{huge, "Invalid resource request! maximum is 100"})
	req := d.round(allocateResponse{})
	if len(req.asks) > 0 || len(req.releases) != 1 || req.responseID != 1 {
		t.Errorf("next allocate: got %+v, want the release without the ask under the same response id", req)
	}
	if d.core.asking() {
		t.Error("the refused ask is still outstanding")
	}
}

func TestRowInvalidResourceRequestIsolatesTheBadAsk(t *testing.T) {
	d := registered(t)
	third := AskKey{Priority: 3, AllocationRequestID: 33}
	for _, key := range []AskKey{small, large, third} {
		d.do(cmdAsk{ask(key, 2)})
	}
	d.do(cmdBlacklist{add: []string{"bad"}})
	d.wantCounts(d.wantAllocate(), map[AskKey]int{small: 2, large: 2, third: 2})
	d.do(cmdAsk{ask(small, 3)})
	d.fail(failAsk, "Invalid resource request")
	d.takeEvents()
	var sent []map[AskKey]int
	for d.core.changed() {
		req := d.wantAllocate()
		sent = append(sent, counts(req.asks))
		if _, bad := counts(req.asks)[large]; bad {
			d.fail(failAsk, "Invalid resource request: 2048")
			continue
		}
		d.answer(allocateResponse{responseID: req.responseID + 1})
	}
	if diff := cmp.Diff([]map[AskKey]int{{small: 3}, {large: 2}, {third: 2}}, sent); diff != "" {
		t.Errorf("asks tried (-want +got):\n%s", diff)
	}
	d.wantEvents(AskRejected{ask(large, 2), "Invalid resource request: 2048"})
}

func TestRowInvalidResourceRequestCancelsWhatWasTakenBefore(t *testing.T) {
	d := busy(t)
	bigger := ask(large, 2)
	bigger.MemoryMB = 1 << 30
	d.do(cmdAsk{bigger})
	d.wantAllocate()
	d.fail(failAsk, "Invalid resource request")
	req := d.round(allocateResponse{})
	if len(req.asks) != 1 || req.asks[0].Count != 0 || req.asks[0].MemoryMB != 2048 {
		t.Errorf("next allocate: got %+v, want the old size cancelled", req.asks)
	}
}

func TestRowInvalidLabelIsARefusedAsk(t *testing.T) {
	for _, class := range []string{"InvalidLabelResourceRequestException", "SchedulerInvalidResoureRequestException"} {
		if got := classifyRemote(yarnExceptions+class, ""); got != failAsk {
			t.Errorf("%s: got kind %v, want failAsk", class, got)
		}
	}
}

func TestRowInvalidContainerReleaseDropsTheNamedOne(t *testing.T) {
	d := busy(t)
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(20), containerID(21)}})
	d.do(cmdAsk{ask(small, 7)})
	d.wantAllocate()
	d.answer(allocateResponse{responseID: 9})
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(30), containerID(31)}})
	d.wantAllocate()
	d.fail(failRelease, "Cannot release container : "+containerID(30).String()+" not belonging to this application attempt")
	if req := d.wantAllocate(); !slices.Equal(req.releases, []yarnid.ContainerID{containerID(31)}) {
		t.Errorf("releases: got %v, want [31]", req.releases)
	}
	d.fail(failRelease, "some other text")
	if req := d.wantAllocate(); len(req.releases) > 0 {
		t.Errorf("releases: got %v, want none", req.releases)
	}
}

func TestRowInvalidBlacklistDropsTheAdditions(t *testing.T) {
	d := busy(t)
	d.do(cmdBlacklist{add: []string{"x"}, remove: []string{"bad"}})
	d.wantAllocate()
	d.fail(failBlacklist, "Cannot add x to the blacklist!")
	d.wantEvents(BlacklistRejected{[]string{"x"}, "Cannot add x to the blacklist!"})
	if req := d.wantAllocate(); len(req.blackAdd) > 0 || !slices.Equal(req.blackRemove, []string{"bad"}) {
		t.Errorf("got +%v -%v, want -[bad]", req.blackAdd, req.blackRemove)
	}
}

func TestRowLegacyCommands(t *testing.T) {
	d := busy(t)
	d.round(allocateResponse{command: commandResync})
	d.next()
	if d.call.register == nil {
		t.Fatalf("after AM_RESYNC: got call %+v, want register", d.call)
	}
	d.end(registerDone{})
	d.takeEvents()
	d.round(allocateResponse{command: commandShutdown})
	d.wantEvents(Terminated{ErrShutdown})
}

func TestRowNoAnswerKeepsDeltaAndResponseID(t *testing.T) {
	d := busy(t)
	d.do(cmdAsk{ask(small, 5)})
	req := d.wantAllocate()
	var pauses []time.Duration
	for range 7 {
		d.fail(failRetry, "connection refused")
		d.do(cmdAsk{ask(large, 9)}) // must not join what may have been processed already
		pauses = append(pauses, d.next())
		if d.call.allocate != req {
			t.Fatalf("got %+v, want the same request %+v", d.call.allocate, req)
		}
	}
	ms := time.Millisecond
	want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 2000 * ms, 2000 * ms}
	if !slices.Equal(pauses, want) {
		t.Errorf("pauses: got %v, want %v", pauses, want)
	}
	d.wantEvents(Trouble{errors.New("connection refused")})
	d.answer(allocateResponse{responseID: req.responseID + 1, allocated: containers(large, 40)})
	d.wantEvents(Recovered{}, Allocated{2, containers(large, 40)})
	d.wantCounts(d.wantAllocate(), map[AskKey]int{large: 8})
}

func TestRowRetriableAndStandbyAreRetried(t *testing.T) {
	for _, class := range []string{"org.apache.hadoop.ipc.RetriableException", "org.apache.hadoop.ipc.StandbyException",
		"java.io.IOException", yarnExceptions + "YarnException", "java.lang.NullPointerException"} {
		if got := classifyRemote(class, "x"); got != failRetry {
			t.Errorf("%s: got kind %v, want failRetry", class, got)
		}
	}
}

func TestInvalidResponseIDTerminates(t *testing.T) {
	message := "Invalid responseId in AllocateRequest from application attempt: x, expect responseId to be 3, but get 1"
	if got := classifyRemote(invalidAMRequestClass, message); got != failOutOfSync {
		t.Errorf("got kind %v, want failOutOfSync", got)
	}
	d := busy(t)
	d.wantAllocate()
	d.fail(failOutOfSync, message)
	d.wantEvents(Terminated{fmt.Errorf("%w: %s", ErrOutOfSync, message)})
}

func TestAlreadyRegistered(t *testing.T) {
	if got := classifyRemote(invalidAMRequestClass, "Application Master is already registered : x"); got != failAlreadyRegistered {
		t.Errorf("got kind %v, want failAlreadyRegistered", got)
	}
	t.Run("after a lost answer the session goes on", func(t *testing.T) {
		d := newDriver(t)
		d.do(cmdRegister{})
		d.fail(failRetry, "timeout")
		d.next()
		d.fail(failAlreadyRegistered, "already registered")
		if diff := cmp.Diff([]effect{joined{Registration{Partial: true}}}, d.other, cmp.AllowUnexported(joined{})); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
		d.wantAllocate()
	})
	t.Run("by someone else terminates", func(t *testing.T) {
		d := newDriver(t)
		d.do(cmdRegister{})
		d.fail(failAlreadyRegistered, "already registered")
		d.wantEvents(Terminated{fmt.Errorf("%w: %s", ErrOutOfSync, "already registered")})
	})
}

func TestTokenRollover(t *testing.T) {
	d := registered(t)
	d.round(allocateResponse{amrmToken: second})
	d.round(allocateResponse{amrmToken: second}) // the YARN RM repeats it
	d.wantEvents(TokenRolled{second})
	d.wantAllocate()
	if d.call.tok != second {
		t.Errorf("got token %v, want the second", d.call.tok)
	}
}

func TestUnregister(t *testing.T) {
	d := busy(t)
	d.wantAllocate()
	d.do(cmdUnregister{finishRequest{status: FinalSucceeded, diagnostics: "done"}})
	d.answer(allocateResponse{responseID: 9, allocated: containers(small, 60)}) // heartbeat in flight ends first
	d.takeEvents()
	for range 3 {
		if d.call == nil || d.call.finish == nil || d.call.finish.diagnostics != "done" {
			t.Fatalf("got call %+v, want finish", d.call)
		}
		d.end(finishDone{unregistered: false})
		if got := d.next(); got != 100*time.Millisecond {
			t.Errorf("finish repeated after %v, want 100 ms", got)
		}
	}
	d.end(finishDone{unregistered: true})
	d.wantEvents(Unregistered{})
	if _, ok := d.core.Deadline(); ok {
		t.Error("a deadline after Unregistered")
	}
}

func TestRowNotRegisteredDuringFinish(t *testing.T) {
	d := busy(t)
	d.do(cmdUnregister{finishRequest{status: FinalFailed}})
	d.next()
	d.fail(failNotRegistered, "")
	d.next()
	if d.call.register == nil {
		t.Fatalf("got call %+v, want register", d.call)
	}
	d.end(registerDone{})
	d.next()
	if d.call.finish == nil || d.call.finish.status != FinalFailed {
		t.Fatalf("got call %+v, want finish", d.call)
	}
}

func TestRowAttemptNotFoundDuringFinish(t *testing.T) {
	t.Run("after a lost answer it is unregistered", func(t *testing.T) {
		d := busy(t)
		d.do(cmdUnregister{})
		d.next()
		d.fail(failRetry, "timeout")
		d.next()
		d.fail(failAttemptGone, "gone")
		d.wantEvents(Trouble{errors.New("timeout")}, Unregistered{})
	})
	t.Run("else it is terminated", func(t *testing.T) {
		d := busy(t)
		d.do(cmdUnregister{})
		d.next()
		d.fail(failAttemptGone, "gone")
		d.wantEvents(Terminated{fmt.Errorf("%w: %s", ErrAttemptGone, "gone")})
	})
}

func TestUnregisterWhileRegistering(t *testing.T) {
	d := newDriver(t)
	d.do(cmdRegister{})
	d.do(cmdUnregister{finishRequest{status: FinalFailed}})
	d.end(registerDone{})
	if d.call == nil || d.call.finish == nil {
		t.Fatalf("got call %+v, want finish right after the registration", d.call)
	}
}
