package hadoop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

const maxAnswer = 32 << 20

// RM asks a ResourceManager over its REST interface (/ws/v1/cluster).
type RM struct{ URL string }

// RM returns the client of this cluster's ResourceManager.
func (c *Cluster) RM() *RM { return &RM{URL: c.RMWebURL()} }

// App is an application as the ResourceManager reports it.
type App struct {
	ID, User, Name, Queue                              string
	State, FinalStatus                                 string
	ApplicationType, ApplicationTags                   string
	TrackingURL, Diagnostics                           string
	AMHostHTTPAddress, AMRPCAddress                    string
	AllocatedMB, AllocatedVCores, RunningContainers    int64
	StartedTime, LaunchTime, FinishedTime, ElapsedTime int64 // milliseconds
	Progress                                           float64
}

// NodeInfo is a NodeManager as the ResourceManager reports it.
type NodeInfo struct {
	ID, State, NodeHostName, NodeHTTPAddress                             string
	NumContainers                                                        int
	UsedMemoryMB, AvailMemoryMB, UsedVirtualCores, AvailableVirtualCores int64
}

// ContainerInfo is a container as a NodeManager reports it. The last log directory is a page of that NodeManager.
type ContainerInfo struct {
	ID, State, User, Diagnostics, ContainerLogsLink, NodeID string
	ExitCode                                                int
	TotalMemoryNeededMB, TotalVCoresNeeded                  float64
}

// Apps lists all applications; query, for example "states=RUNNING&user=alice", narrows the list.
func (r *RM) Apps(ctx context.Context, query string) ([]App, error) {
	var answer struct{ Apps struct{ App []App } }
	url := r.URL + "/ws/v1/cluster/apps"
	if query != "" {
		url += "?" + query
	}
	err := getJSON(ctx, url, &answer)
	return answer.Apps.App, err
}

// App returns one application.
func (r *RM) App(ctx context.Context, id string) (App, error) {
	var answer struct{ App App }
	err := getJSON(ctx, r.URL+"/ws/v1/cluster/apps/"+id, &answer)
	return answer.App, err
}

// Nodes lists the NodeManagers that are not gone, and those that are unhealthy or lost.
func (r *RM) Nodes(ctx context.Context) ([]NodeInfo, error) {
	var answer struct{ Nodes struct{ Node []NodeInfo } }
	err := getJSON(ctx, r.URL+"/ws/v1/cluster/nodes?states=NEW,RUNNING,UNHEALTHY,LOST,DECOMMISSIONED,REBOOTED,SHUTDOWN", &answer)
	return answer.Nodes.Node, err
}

// Containers asks every running NodeManager for the containers of an application (all when app is empty) that it still
// knows: running ones and those whose clean-up is not over.
func (r *RM) Containers(ctx context.Context, app string) ([]ContainerInfo, error) {
	nodes, err := r.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	var all []ContainerInfo
	for _, n := range nodes {
		if n.State != "RUNNING" {
			continue
		}
		var answer struct {
			Containers struct{ Container []ContainerInfo }
		}
		if err := getJSON(ctx, "http://"+n.NodeHTTPAddress+"/ws/v1/node/containers", &answer); err != nil {
			return nil, err
		}
		for _, c := range answer.Containers.Container {
			if app == "" || containerOfApp(c.ID, app) {
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// KillApp asks the ResourceManager to kill an application as its REST user.
func (r *RM) KillApp(ctx context.Context, id, user string) error {
	url := r.URL + "/ws/v1/cluster/apps/" + id + "/state?user.name=" + user
	return call(ctx, http.MethodPut, url, []byte(`{"state":"KILLED"}`), nil)
}

func getJSON(ctx context.Context, url string, into any) error {
	return call(ctx, http.MethodGet, url, nil, into)
}

// call sends a request with a JSON body and reads a JSON answer; either may be absent.
func call(ctx context.Context, method, url string, body []byte, into any) error {
	data, err := send(ctx, method, url, "application/json", body)
	if err != nil {
		return err
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	return nil
}

// StatusError is an HTTP answer that is not a success.
type StatusError struct {
	Method, URL string
	Code        int
	Body        string
}

// Error shows the request, the status and the start of the answer.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %.400s", e.Method, e.URL, e.Code, e.Body)
}

func send(ctx context.Context, method, url, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytesReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, &StatusError{Method: method, URL: url, Code: resp.StatusCode, Body: string(data)}
	}
	return data, nil
}
