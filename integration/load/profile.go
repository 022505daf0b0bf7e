package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// profileVariable tells the job's additional file where to serve.
const profileVariable = "LOAD_PROFILE"

//go:embed profile.go.txt
var profileSource []byte

// profiled writes an overlay for go build that adds a file to the job program.
func profiled(ctx context.Context, dir, pkg string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("find the job program: %w", err)
	}
	added := filepath.Join(dir, "profile.go")
	if err := os.WriteFile(added, profileSource, 0o644); err != nil {
		return "", err
	}
	replace := map[string]map[string]string{"Replace": {filepath.Join(strings.TrimSpace(string(out)), "load_profile.go"): added}}
	text, err := json.Marshal(replace)
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

// profiles fetches profiles of the AM while it starts, and while only heartbeats happen.
type profiles struct {
	dir, addr string
}

// newProfiles chooses an address for the AM's server.
func newProfiles(dir string) (*profiles, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &profiles{dir, l.Addr().String()}, nil
}

func (p *profiles) option() string {
	return "containerized.master.env." + profileVariable + "=" + p.addr
}

// profiledStart is how long a start is watched; what it takes beyond is not in the profile.
const profiledStart = 15 * time.Second

// begin takes a CPU profile for a while; end waits for it and takes the other ones. Without profiles both do nothing.
func (p *profiles) begin(ctx context.Context, name string, d time.Duration) (end func() error) {
	if p == nil {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- p.fetch(ctx, name+".cpu", fmt.Sprintf("profile?seconds=%d", max(1, int(d.Seconds())))) }()
	return func() error {
		if err := <-done; err != nil {
			return err
		}
		return errors.Join(p.fetch(ctx, name+".heap", "heap"), p.fetch(ctx, name+".goroutine", "goroutine"))
	}
}

func (p *profiles) fetch(ctx context.Context, name, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/debug/pprof/"+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profile the ApplicationMaster: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, name), b, 0o644)
}
