package rest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
)

func (w *world) start(t testing.TB) *Server {
	t.Helper()
	s, err := Start(w.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// client is an HTTP client of its own, so that no connection outlives the test.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func fetch(c *http.Client, method, url string) (int, string, error) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestStart(t *testing.T) {
	w := newWorld(t)
	w.Advertised = "node.example"
	s := w.start(t)
	if want := fmt.Sprintf("node.example:%d", s.Port()); s.Addr() != want || s.Port() == 0 {
		t.Errorf("address %s, want %s", s.Addr(), want)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", s.Port())
	if status, body, err := fetch(client(t), "GET", url+"/v1/overview"); err != nil || status != 200 || !strings.Contains(body, `"taskmanagers":2`) {
		t.Errorf("%d %s %v", status, body, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, _, err := fetch(client(t), "GET", url); err == nil {
		t.Error("answered after Close")
	}
}

func TestStartRefusals(t *testing.T) {
	if _, err := Start(Config{}); err == nil || !strings.Contains(err.Error(), "Leader and Logs") {
		t.Errorf("empty configuration: %v", err)
	}
	w := newWorld(t)
	first := w.start(t)
	w.Ports = []int{first.Port()}
	if s, err := Start(w.Config); err == nil {
		s.Close()
		t.Error("two servers on one port")
	}
	w.Ports = []int{first.Port(), 0}
	if second := w.start(t); second.Port() == first.Port() {
		t.Error("a port that is in use was not passed over")
	}
	w.Host = "no.such.host.invalid"
	if s, err := Start(w.Config); err == nil {
		s.Close()
		t.Error("listens on a host that is not there")
	}
}

func TestTLS(t *testing.T) {
	made := httptest.NewTLSServer(nil) // for its certificate
	made.Close()
	w := newWorld(t)
	w.TLS = &tls.Config{Certificates: made.TLS.Certificates}
	s := w.start(t)
	roots := x509.NewCertPool()
	roots.AddCert(made.Certificate())
	c := client(t)
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	if status, _, err := fetch(c, "GET", "https://"+s.Addr()+"/overview"); err != nil || status != 200 {
		t.Errorf("%d, %v", status, err)
	}
	if status, _, err := fetch(client(t), "GET", "http://"+s.Addr()+"/overview"); err == nil && status == 200 {
		t.Error("answers without TLS")
	}
}

func TestCloseEndsRequests(t *testing.T) {
	w := newWorld(t)
	w.d.blocking = make(chan struct{})
	s := w.start(t)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		status, body, err := fetch(client(t), "PATCH", "http://"+s.Addr()+"/jobs/"+running)
		if err == nil && status != 503 {
			t.Errorf("cut request: %d %s", status, body)
		}
	}()
	for len(s.handler.slots) == 0 {
		select {
		case <-answered:
			t.Fatal("answered before Close")
		default:
			runtime.Gosched()
		}
	}
	s.Close()
	if n := len(s.handler.slots); n != 0 {
		t.Errorf("%d requests run after Close", n)
	}
	<-answered
	if got := ask(s.handler, "GET", "/overview"); got.Code != 503 {
		t.Errorf("after Close: %d", got.Code)
	}
}

func TestMaxConnections(t *testing.T) {
	w := newWorld(t)
	w.MaxConnections = 2
	s := w.start(t)
	hold := func() (net.Conn, error) {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(c, "GET /config HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return c, err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return c, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return c, err
	}
	var open []net.Conn
	for range 2 {
		c, err := hold()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	if c, err := hold(); err == nil {
		t.Error("a connection above the limit was served")
	} else if c != nil {
		c.Close()
	}
	open[0].Close()
	for s.connect.Load() > 1 { // the server notices by itself
		runtime.Gosched()
	}
	c, err := hold()
	if err != nil {
		t.Errorf("a connection after one was closed: %v", err)
	}
	c.Close()
}

// TestSlowRequests holds that neither a header nor a body that never ends keeps a connection.
func TestSlowRequests(t *testing.T) {
	w := newWorld(t)
	w.HeaderTimeout = 50 * time.Millisecond
	s := w.start(t)
	for _, part := range []string{"GET /config HT", "PATCH /jobs/" + running + " HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"} {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := errors.Join(c.SetDeadline(time.Now().Add(20*time.Second)), second(io.WriteString(c, part))); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(b), " 202 ") {
			t.Errorf("%q: %q, %v", part, b, err)
		}
	}
	if len(w.d.asked) != 0 {
		t.Error("a request was carried out before it was complete")
	}
}

func second[T any](_ T, err error) error { return err }

// TestShortLog holds that a worker's file that ends too early does not look complete.
func TestShortLog(t *testing.T) {
	w := newWorld(t)
	w.Logs = fakeLogs{files: map[string]string{"taskmanager.log": strings.Repeat("words\n", 50000)}, short: true}
	s := w.start(t)
	if status, body, err := fetch(client(t), "GET", "http://"+s.Addr()+"/taskmanagers/tm-0/log"); err == nil {
		t.Errorf("%d with %d bytes looks complete", status, len(body))
	}
}

// TestYARNProxy repeats what YARN's proxy does: GET only, a few headers, the user in a cookie, and the path below its own.
func TestYARNProxy(t *testing.T) {
	w := newWorld(t)
	s := w.start(t)
	proxied := map[string]bool{"User-Agent": true, "Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Content-Type": true, "Origin": true}
	base := "/proxy/application_1_0001"
	direct := client(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" {
			http.Error(out, "not implemented", http.StatusNotImplemented)
			return
		}
		target := "http://" + s.Addr() + strings.TrimPrefix(r.URL.EscapedPath(), base) + "?" + r.URL.RawQuery
		req, err := http.NewRequestWithContext(r.Context(), "GET", target, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for name, v := range r.Header {
			if proxied[name] {
				req.Header[name] = v
			}
		}
		req.Header.Set("Cookie", "proxy-user=alice")
		resp, err := direct.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		for name, v := range resp.Header {
			out.Header()[name] = v
		}
		out.WriteHeader(resp.StatusCode)
		if _, err := io.Copy(out, resp.Body); err != nil {
			t.Error(err)
		}
	}))
	defer proxy.Close()
	browser := client(t)
	navigate := func(path string) (int, string) {
		req, err := http.NewRequest("GET", proxy.URL+base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range [][2]string{{"User-Agent", "Mozilla/5.0"}, {"Accept", "text/html,*/*"}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "navigate"}, {"Referer", proxy.URL + base + "/"}} {
			req.Header.Set(kv[0], kv[1])
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	status, page := navigate("/")
	_, token, found := strings.Cut(page, `name="token" value="`)
	token, _, _ = strings.Cut(token, `"`)
	if status != 200 || !found {
		t.Fatalf("page: %d %s", status, page)
	}
	for path, want := range map[string]int{"/overview": 200, "/taskmanagers/tm-0/log": 200, "/nosuch": 404, "/jobs/" + running + "/yarn-cancel": 403} {
		if status, body := navigate(path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := navigate("/jobs/" + running + "/yarn-cancel?token=" + token); status != 202 || !strings.Contains(body, "is being cancelled") || len(w.d.asked) != 1 {
		t.Errorf("the page's button: %d %s", status, body)
	}
}

// TestConcurrentRequests is for the race detector: views change while many ask.
func TestConcurrentRequests(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	leads := true
	leader := w.Leader
	w.Leader = func() (Leader, bool) {
		mu.Lock()
		defer mu.Unlock()
		if !leads {
			return Leader{}, false
		}
		return leader()
	}
	s := w.start(t)
	paths := []string{"/", "/overview", "/jobs/overview", "/jobs/" + running, "/jobs/" + failed + "/exceptions", "/taskmanagers", "/taskmanagers/tm-1", "/jobmanager/log", "/taskmanagers/tm-0/log"}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := client(t)
			for range 5 {
				for _, path := range paths {
					status, body, err := fetch(c, "GET", "http://"+s.Addr()+path)
					if err != nil || status != 200 && status != 503 {
						t.Errorf("%s: %d %s %v", path, status, body, err)
					}
				}
			}
		})
	}
	states := scheduler.JobStates()
	for i := range 200 {
		w.d.mu.Lock()
		w.d.views = []*jobmaster.View{view(mustJob(t, running), states[i%len(states)]), view(mustJob(t, failed), scheduler.JobFailed)}
		w.d.mu.Unlock()
		mu.Lock()
		leads = i%4 != 3
		mu.Unlock()
	}
	mu.Lock()
	leads = true
	mu.Unlock()
	wg.Wait()
}
