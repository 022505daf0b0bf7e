package rest

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
)

var references = regexp.MustCompile(`(?:href|src|action|url)="?=?([^"> ]*)`)

// TestPage looks at what a person needs, and that a hostile name stays text.
func TestPage(t *testing.T) {
	w := newWorld(t)
	v := view(mustJob(t, running), scheduler.JobRunning)
	v.Name, v.WaitingFor = `<script>alert("x")</script>`, `1 of 2 workers; "node" & <label>`
	bad := view(mustJob(t, failed), scheduler.JobFailed)
	w.d.views, w.d.ending = []*jobmaster.View{v, bad}, "stop workers"
	got := ask(w.handler(t), "GET", "/")
	body := got.Body.String()
	if got.Code != 200 || got.Header().Get("Content-Type") != "text/html; charset=UTF-8" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	for _, want := range []string{
		"&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;", "Waiting: 1 of 2 workers; &#34;node&#34; &amp; &lt;label&gt;", "Ending: stop workers",
		running, "Source: numbers", "2 running", "1,234,567", "3.0 MiB", "tm-0:1234", "3 of 3", "1 of 3", "of 3 wanted",
		`href="taskmanagers/tm-0/log"`, `href="http://node:8042/node/containerlogs/tm-0"`, `href="jobmanager/logs/jobmanager.log"`,
		"task sum -&gt; Sink: out (1/2) on tm-0 failed: parse line 7: not a number", "input was &lt;i&gt;x&lt;/i&gt;", "application_1_0001",
		`<meta name="viewport"`, `http-equiv="refresh" content="3"`, "running after 2.0 s",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %s", want)
		}
	}
	if strings.Contains(body, "<script") || strings.Contains(body, "onclick") || strings.Contains(body, "ZgotmplZ") {
		t.Error("page has a script, or a value in a place where it may not be")
	}
	if n := strings.Count(body, "yarn-cancel"); n != 1 {
		t.Errorf("%d cancel buttons, want one, for the running job", n)
	}
}

// TestPageLinks follows every relative reference of the page as a browser behind YARN's proxy would.
func TestPageLinks(t *testing.T) {
	w := newWorld(t)
	h := w.handler(t)
	const base = "/proxy/application_1_0001/"
	at := url.URL{Scheme: "http", Host: "rm:8088", Path: base}
	follow := func(body string, at url.URL) int {
		n := 0
		for _, m := range references.FindAllStringSubmatch(body, -1) {
			ref, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%q: %v", m[1], err)
				continue
			}
			if ref.Host == "node:8042" {
				continue // the NodeManager's page of logs is elsewhere
			}
			to := at.ResolveReference(ref)
			path, below := strings.CutPrefix(to.Path, base)
			if !below || strings.HasPrefix(m[1], "/") {
				t.Errorf("%q leads out of the application, to %s", m[1], to)
				continue
			}
			if got := ask(h, "GET", "/"+path); got.Code >= 400 {
				t.Errorf("%q: %d %s", m[1], got.Code, got.Body)
			}
			n++
		}
		return n
	}
	if n := follow(ask(h, "GET", "/").Body.String(), at); n < 15 {
		t.Errorf("only %d references found", n)
	}
	cancel := at.ResolveReference(&url.URL{Path: "jobs/" + running + "/yarn-cancel"})
	page := ask(h, "GET", "/jobs/"+running+"/yarn-cancel", "Accept", "text/html,*/*")
	if page.Code != 202 || !strings.Contains(page.Body.String(), running) {
		t.Fatalf("cancelled page: %d %s", page.Code, page.Body)
	}
	if n := follow(page.Body.String(), *cancel); n != 2 {
		t.Errorf("%d references back, want 2", n)
	}
}

func TestPageHead(t *testing.T) {
	h := newWorld(t).handler(t)
	if got := ask(h, "HEAD", "/"); got.Code != 200 {
		t.Errorf("HEAD: %d", got.Code)
	}
	if got := ask(h, "POST", "/"); got.Code != 404 {
		t.Errorf("POST: %d", got.Code)
	}
}

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 1234 * time.Millisecond: "1.2 s", 34 * time.Second: "34 s", 306 * time.Second: "5 m 6 s", 428 * time.Minute: "7 h 8 m",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB", 5 << 50: "5120.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
