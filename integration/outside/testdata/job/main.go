// Command job is what somebody else writes: a module of its own that uses flott beside an HDFS client and gRPC of its own choice.
//
//	job OUTPUT [NAMENODE FILE]
//
// It writes the numbers from 1 to 100 to OUTPUT, each with the answer of a gRPC server in the same process and, when FILE is given, with
// the size of that file in HDFS.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/flott-dev/flott/flow"
)

func main() { flow.Main(build) }

func build(env *flow.Env, args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errors.New("usage: job OUTPUT [NAMENODE FILE]")
	}
	check := sync.OnceValues(healthy)
	size := func() (int64, error) { return 0, nil }
	if len(args) == 3 {
		size = sync.OnceValues(func() (int64, error) { return sizeOf(args[1], args[2]) })
	}
	lines := flow.TryMap(flow.Sequence(env, 1, 100), func(n int64) (string, error) {
		status, err := check()
		if err != nil {
			return "", err
		}
		bytes, err := size()
		return fmt.Sprintf("%d %s %d", n, status, bytes), err
	})
	flow.WriteTextFiles(flow.Rebalance(lines), args[0], func(line []byte, s string) []byte { return append(line, s...) })
	return nil
}

// healthy asks a server in this process how it is.
func healthy() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := grpc.NewServer()
	defer server.Stop()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return "", err
	}
	return answer.Status.String(), nil
}

func sizeOf(nameNode, file string) (int64, error) {
	client, err := hdfs.NewClient(hdfs.ClientOptions{Addresses: []string{nameNode}, User: os.Getenv("HADOOP_USER_NAME")})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	data, err := client.ReadFile(file)
	return int64(len(data)), err
}
