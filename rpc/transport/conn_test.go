package transport

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
)

// TestIdleConnections: connections nobody uses are closed and forgotten, used ones are not.
func TestIdleConnections(t *testing.T) {
	d := NewDialer(DialerConfig{Idle: time.Millisecond}).(*dialer)
	defer d.Close()
	if _, err := d.TaskExecutor("127.0.0.1:1").ListLogs(t.Context(), &pb.ListLogsRequest{}); err == nil {
		t.Fatal("port 1 answered")
	}
	_, release, err := d.acquire("m", "127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	left := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.conns)
	}
	waitFor := func(n int) {
		t.Helper()
		tick, deadline := time.NewTicker(time.Millisecond), time.After(5*time.Second)
		defer tick.Stop()
		for left() != n {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%d connections are left, want %d", left(), n)
			}
		}
	}
	waitFor(1)
	release()
	release() // counts once
	waitFor(0)
}

func TestPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	if s, err := Listen(ServerConfig{Ports: []int{port}}, gateway.Endpoints{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a taken port: %v, %v", s, err)
	}
	s, err := Listen(ServerConfig{Ports: []int{port, 0}, Advertised: "node7"}, gateway.Endpoints{})
	if err != nil {
		t.Fatalf("the next port of the range: %v", err)
	}
	defer s.Close()
	if !strings.HasPrefix(s.Addr(), "node7:") || s.Addr() == "node7:"+strconv.Itoa(port) {
		t.Errorf("address %s", s.Addr())
	}
	if s, err := Listen(ServerConfig{Host: "192.0.2.1"}, gateway.Endpoints{}); err == nil {
		s.Close()
		t.Error("an address of another host was bound")
	}
}

// FuzzStatusDetail: whatever an error says, its detail reaches the caller.
func FuzzStatusDetail(f *testing.F) {
	f.Add("text")
	f.Fuzz(func(t *testing.T, text string) {
		err := toStatus(errors.New(text))
		if a := answered(err); a == nil {
			t.Errorf("%q lost its detail: %v", text, err)
		}
	})
}
