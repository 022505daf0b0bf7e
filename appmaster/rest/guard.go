package rest

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// handler answers all requests: it admits them, then hands them to the routes.
type handler struct {
	cfg      Config
	mux      *http.ServeMux
	token    string // of the page's cancel button
	revision string
	pages    *template.Template
	slots    chan struct{} // one per running request
	logs     chan struct{} // one per log file being sent

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func newHandler(cfg Config) *handler {
	h := &handler{
		cfg: cfg, mux: http.NewServeMux(), token: rand.Text(), revision: revision(), pages: parsePages(),
		slots: make(chan struct{}, cfg.MaxRequests), logs: make(chan struct{}, cfg.MaxLogRequests),
	}
	h.routes()
	return h
}

// close waits for the requests that run; later ones are refused.
func (h *handler) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.running.Wait()
}

func (h *handler) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.running.Add(1)
	return true
}

// securityHeaders go with every answer. Nothing may be cached, for nothing stays true.
var securityHeaders = [...][2]string{
	{"Cache-Control", "no-store"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
}

// ServeHTTP admits a request, bounds it, and routes it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, kv := range securityHeaders {
		w.Header().Set(kv[0], kv[1])
	}
	if !h.enter() {
		h.fail(w, r, errBusy)
		return
	}
	defer h.running.Done()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.fail(w, r, errBusy)
		return
	}
	if err := h.admit(w, r); err != nil {
		h.fail(w, r, err)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// admit refuses what must not reach a route, and takes the body off the connection.
func (h *handler) admit(w http.ResponseWriter, r *http.Request) error {
	switch {
	case crossOrigin(r):
		return &apiError{http.StatusForbidden, []string{"Requests from another origin are refused."}}
	case h.cfg.ReadOnly && r.Method != http.MethodGet && r.Method != http.MethodHead:
		return errReadOnly
	case !clean(r.URL):
		return fileNotFound(r.URL.Path) // the mux would redirect, to where YARN's proxy does not lead
	}
	if r.ContentLength == 0 {
		return nil
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(h.cfg.HeaderTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &apiError{http.StatusRequestEntityTooLarge, []string{"The request is too large."}}
	}
	if err != nil {
		return &apiError{http.StatusBadRequest, []string{"The request could not be read."}}
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// clean says whether the path has neither empty nor dot segments. Escaped slashes and dots are part of their segment.
func clean(u *url.URL) bool {
	p := u.EscapedPath()
	return p == "/" || strings.HasPrefix(p, "/") && path.Clean(p) == strings.TrimSuffix(p, "/")
}

// crossOrigin says whether a browser sends the request for a page of somebody else. Following a link to here is none of that: what
// changes something is not reached by it (cancelAllowed).
func crossOrigin(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	link := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !link
}

// cancelAllowed decides about a GET that cancels. Any page can make a browser send it, without a word of where it comes from, and
// through YARN's proxy too: so a browser, which cannot hide that it is one, must bring the page's token. Programs need none.
func (h *handler) cancelAllowed(r *http.Request) bool {
	if !strings.HasPrefix(r.Header.Get("User-Agent"), "Mozilla/") {
		return true
	}
	return subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("token")), []byte(h.token)) == 1
}

// bounded gives a request its time.
func (h *handler) bounded(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.RequestTimeout)
	return r.WithContext(ctx), cancel
}

// allowWrite lets the next bytes of an answer take until the stall timeout.
func (h *handler) allowWrite(w http.ResponseWriter) {
	// A writer without deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.cfg.StallTimeout))
}
