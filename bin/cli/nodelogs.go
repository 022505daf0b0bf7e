package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flott-dev/flott/yarn/rmclient"
)

// nodeAnswer is how long a NodeManager's web server may take to begin an answer.
const nodeAnswer = 15 * time.Second

// liveLogs prints the log files of running containers from their nodes.
func (s *session) liveLogs(ctx context.Context, r rmclient.Report, p *logPrinter) error {
	if r.Attempt.IsZero() {
		return fmt.Errorf("%s has no container yet (%s)", r.ID, r.State)
	}
	containers, err := s.rm.Containers(ctx, r.Attempt)
	if err != nil {
		return err
	}
	slices.SortFunc(containers, func(a, b rmclient.Container) int { return a.ID.Compare(b.ID) })
	transport := &http.Transport{ResponseHeaderTimeout: nodeAnswer}
	defer transport.CloseIdleConnections()
	n := nodeClient{&http.Client{Transport: transport}}
	var failed []error
	for _, c := range containers {
		if err := n.printContainer(ctx, c, p); err != nil {
			failed = append(failed, fmt.Errorf("logs of %s: %w", c.ID, err))
		}
	}
	return errors.Join(failed...)
}

// nodeClient reads logs through the web services of NodeManagers (Java: NMWebServices, since Hadoop 3.0).
type nodeClient struct{ http *http.Client }

func (n nodeClient) printContainer(ctx context.Context, c rmclient.Container, p *logPrinter) error {
	base := c.NodeHTTPAddress
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	base = strings.TrimSuffix(base, "/") + "/ws/v1/node/containers/" + c.ID.String() + "/logs"
	files, err := n.list(ctx, base)
	if err != nil {
		return err
	}
	for _, f := range files {
		size, err := strconv.ParseInt(f.Size, 10, 64)
		if err != nil || !p.wants(c.ID.String(), f.Name, size) {
			continue
		}
		if err := n.printFile(ctx, base, c, f.Name, p); err != nil {
			return err
		}
	}
	return nil
}

type nodeFile struct {
	Name string `json:"fileName"`
	Size string `json:"fileSize"`
}

type nodeFiles struct {
	Files oneOrMany[nodeFile] `json:"containerLogInfo"`
	Kind  string              `json:"logAggregationType"`
}

// oneOrMany is a list that Hadoop's JSON writes as its only element.
type oneOrMany[T any] []T

// UnmarshalJSON reads a list or an element.
func (m *oneOrMany[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]T)(m))
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*m = oneOrMany[T]{one}
	return nil
}

func (n nodeClient) list(ctx context.Context, base string) ([]nodeFile, error) {
	body, err := n.get(ctx, base)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var answer struct {
		Info oneOrMany[nodeFiles] `json:"containerLogsInfo"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read list of log files: %w", err)
	}
	var out []nodeFile
	for _, i := range answer.Info {
		if i.Kind == "" || i.Kind == "LOCAL" {
			out = append(out, i.Files...)
		}
	}
	slices.SortFunc(out, func(a, b nodeFile) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// printFile prints a file without the lines that the NodeManager puts around it.
func (n nodeClient) printFile(ctx context.Context, base string, c rmclient.Container, name string, p *logPrinter) error {
	body, err := n.get(ctx, base+"/"+url.PathEscape(name))
	if err != nil {
		return err
	}
	defer body.Close()
	r := bufio.NewReader(body)
	size, err := contentLength(r)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return p.print(c.ID.String(), c.Node.Host, name, size, io.LimitReader(r, size))
}

// maxHead bounds the lines before the content.
const maxHead = 64 << 10

// contentLength reads up to the content and tells its length in bytes.
func contentLength(r *bufio.Reader) (int64, error) {
	size := int64(-1)
	for read := 0; read < maxHead; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("no log contents in the NodeManager's answer: %w", err)
		}
		read += len(line)
		text := strings.TrimSpace(string(line))
		if text == "LogContents:" && size >= 0 {
			return size, nil
		}
		if digits, ok := strings.CutPrefix(text, "LogLength:"); ok {
			if size, err = strconv.ParseInt(strings.TrimSpace(digits), 10, 64); err != nil || size < 0 {
				return 0, fmt.Errorf("the NodeManager says the length is %.40q", digits)
			}
		}
	}
	return 0, errors.New("no log contents in the NodeManager's answer")
}

func (n nodeClient) get(ctx context.Context, address string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(address, "/logs") {
		req.Header.Set("Accept", "application/json")
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the NodeManager: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the NodeManager answers %s to %s", resp.Status, address)
	}
	return resp.Body, nil
}
