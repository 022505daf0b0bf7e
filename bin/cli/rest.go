package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/restapi"
	"github.com/flott-dev/flott/yarn/rmclient"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 20

// amClient speaks to one ApplicationMaster's REST interface.
type amClient struct {
	base string // http://host:port
	http *http.Client
}

// newAMClient makes a client of the AM that a report describes; nil before it has registered. Nodes of a cluster are
// never behind the proxy of the user's environment.
func newAMClient(r rmclient.Report, timeout time.Duration) *amClient {
	if r.State != rmclient.StateRunning || r.RPCPort <= 0 || r.Host == "" || r.Host == "N/A" {
		return nil
	}
	return &amClient{
		base: "http://" + net.JoinHostPort(r.Host, strconv.Itoa(int(r.RPCPort))),
		http: &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}},
	}
}

// close drops the connections.
func (c *amClient) close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// statusError is an answer that is no success.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the ApplicationMaster answers %d: %s", e.code, e.text)
}

func (c *amClient) call(ctx context.Context, method, path string, into any) error {
	body, err := c.open(ctx, method, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read answer to %s %s: %w", method, path, err)
	}
	return nil
}

// open returns the body of a successful answer.
func (c *amClient) open(ctx context.Context, method, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the ApplicationMaster: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read answer to %s %s: %w", method, path, err)
	}
	var e restapi.Error
	if json.Unmarshal(text, &e) == nil && len(e.Errors) > 0 {
		text = []byte(strings.Join(e.Errors, "; "))
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return nil, &statusError{resp.StatusCode, first}
}

func (c *amClient) get(ctx context.Context, path string, into any) error {
	return c.call(ctx, http.MethodGet, path, into)
}

func (c *amClient) jobs(ctx context.Context) ([]restapi.JobOverview, error) {
	var o restapi.JobsOverview
	err := c.get(ctx, "/jobs/overview", &o)
	return o.Jobs, err
}

func (c *amClient) job(ctx context.Context, id ids.JobID) (restapi.Job, error) {
	var j restapi.Job
	err := c.get(ctx, "/jobs/"+id.String(), &j)
	return j, err
}

func (c *amClient) overview(ctx context.Context) (restapi.Overview, error) {
	var o restapi.Overview
	err := c.get(ctx, "/overview", &o)
	return o, err
}

func (c *amClient) taskManagers(ctx context.Context) ([]restapi.TaskManager, error) {
	var t restapi.TaskManagers
	err := c.get(ctx, "/taskmanagers", &t)
	return t.TaskManagers, err
}

func (c *amClient) cancel(ctx context.Context, id ids.JobID) error {
	return c.call(ctx, http.MethodPatch, "/jobs/"+url.PathEscape(id.String())+"?mode=cancel", nil)
}

// shutDown ends the whole application: running jobs are cancelled first.
func (c *amClient) shutDown(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/cluster", nil)
}

// isStatus tells whether an error is an answer with that code.
func isStatus(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == code
}

// records counts what a job read and wrote: read by its sources, written by its sinks. A vertex without inputs reads what it does not count as
// received, so what it hands on stands in for it; the same goes for what a last vertex writes.
func records(j *restapi.Job) (in, out int64) {
	feeds := map[string]bool{}
	for _, n := range j.Plan.Nodes {
		for _, i := range n.Inputs {
			feeds[i.ID] = true
		}
	}
	for i := range j.Vertices {
		v := &j.Vertices[i]
		node := slices.IndexFunc(j.Plan.Nodes, func(n restapi.PlanNode) bool { return n.ID == v.ID })
		if node >= 0 && len(j.Plan.Nodes[node].Inputs) == 0 {
			in += either(v.Metrics.ReadRecords, v.Metrics.WriteRecords)
		}
		if node >= 0 && !feeds[v.ID] {
			out += either(v.Metrics.WriteRecords, v.Metrics.ReadRecords)
		}
	}
	return in, out
}

func either(a, b int64) int64 {
	if a > 0 {
		return a
	}
	return b
}
