package dfs

import (
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/ipc"
)

// fakeCluster is an HDFS client against a fake NameNode and DataNode.
func fakeCluster(t testing.TB, change func(*HDFSConfig)) (*HDFS, *fakeNN) {
	t.Helper()
	nn := newFakeNN(t)
	rpc := ipc.New(ipc.Config{})
	addrs := []string{nn.srv.Addr()}
	fo, err := ipc.NewFailover(rpc, ipc.FailoverConfig{Name: "NameNode", Addrs: addrs, Patience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cfg := HDFSConfig{Authority: "nn:8020", NameNodes: addrs, User: "alice", RPCTimeout: 10 * time.Second, DataTimeout: 10 * time.Second,
		Calls: failoverCaller{fo, ipc.Peer{Protocol: clientProtocol, User: "alice"}}}
	if change != nil {
		change(&cfg)
	}
	h, err := NewHDFS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		h.Close()
		rpc.Close()
	})
	return h, nn
}
