package main

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

const (
	officialImage = "apache/hadoop:" + hadoop.Version
	pullAnswer    = time.Minute      // a registry that has not said anything by then cannot be reached
	pullWhole     = 20 * time.Minute // the image has more than 1 GB
)

// chooseImage returns an image that this daemon has.
func (d *demo) chooseImage(ctx context.Context) (string, error) {
	if image := os.Getenv("HADOOP_IMAGE"); image != "" {
		if !d.hasImage(ctx, image) {
			if err := d.pull(ctx, image); err != nil {
				return "", fmt.Errorf("HADOOP_IMAGE=%s is not here and cannot be pulled: %s", image, said(err))
			}
		}
		d.say("image %s, as HADOOP_IMAGE says", image)
		return image, nil
	}
	if d.hasImage(ctx, officialImage) {
		d.say("image %s", officialImage)
		return officialImage, nil
	}
	err := d.pull(ctx, officialImage)
	if err == nil {
		d.say("image %s, pulled", officialImage)
		return officialImage, nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	d.say("image %s cannot be pulled (%.160s): building one", officialImage, said(err))
	return d.buildImage(ctx)
}

func (d *demo) hasImage(ctx context.Context, image string) bool {
	_, err := d.docker.run(ctx, "image", "inspect", "--format", "{{.Id}}", image)
	return err == nil
}

// pull gives up when the registry does not answer; once it does, the download may take its time.
func (d *demo) pull(ctx context.Context, image string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pullWhole, fmt.Errorf("not done after %v", pullWhole))
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	d.say("pulling %s", image)
	answered := &answer{first: make(chan struct{})}
	silent := time.AfterFunc(pullAnswer, func() { giveUp(fmt.Errorf("the registry has not answered within %v", pullAnswer)) })
	defer silent.Stop()
	done := make(chan error, 1)
	cmd := d.docker.command("pull", image)
	cmd.stdout = answered
	go func() { _, err := cmd.output(ctx); done <- err }()
	select {
	case err := <-done:
		return err
	case <-answered.first:
		silent.Stop()
		return <-done
	}
}

// answer closes first when something is written.
type answer struct {
	first   chan struct{}
	written bool
}

// Write implements io.Writer.
func (a *answer) Write(p []byte) (int, error) {
	if !a.written {
		a.written = true
		close(a.first)
	}
	return len(p), nil
}

//go:embed image
var imageFiles embed.FS

// entry is a file of a build context: a local one, or text.
type entry struct {
	name, local string
	text        []byte
	mode        int64
}

// buildImage builds the self-made image, unless this daemon has one of the same content.
func (d *demo) buildImage(ctx context.Context) (string, error) {
	if err := d.compile(ctx, "./integration/docker/starter"); err != nil {
		return "", err
	}
	m, err := d.materials(ctx)
	if err != nil {
		return "", err
	}
	entries, err := d.buildContext(m)
	if err != nil {
		return "", err
	}
	digest, err := digestOf(entries)
	if err != nil {
		return "", err
	}
	image := "flott-hadoop:" + hadoop.Version + "-" + digest
	if d.hasImage(ctx, image) {
		d.say("image %s, built before", image)
		return image, nil
	}
	began := time.Now()
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeTar(w, entries)) }()
	cmd := d.docker.command("build", "--network", "none", "--quiet", "--tag", image, "-")
	cmd.stdin = r
	_, err = cmd.output(ctx)
	r.Close()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", image, err)
	}
	d.say("image %s, built in %s", image, since(began))
	return image, nil
}

// buildContext lists what image/Dockerfile copies.
func (d *demo) buildContext(m materials) ([]entry, error) {
	entries := []entry{{name: "rootfs.tar", local: m.rootfs, mode: 0o644}, {name: "starter", local: d.bin("starter"), mode: 0o755}}
	for name, mode := range map[string]int64{"Dockerfile": 0o644, "log4j.properties": 0o644, "hadoop.sh": 0o755} {
		text, err := imageFiles.ReadFile(path.Join("image", name))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: name, text: text, mode: mode})
	}
	for _, app := range []string{"hdfs", "datanode", "static"} {
		entries = append(entries, entry{name: "web/webapps/" + app + "/WEB-INF/web.xml", text: []byte("<web-app/>\n"), mode: 0o644})
	}
	jars, err := filepath.Glob(filepath.Join(m.jars, "*.jar"))
	if err != nil {
		return nil, err
	}
	if len(jars) == 0 {
		return nil, fmt.Errorf("there are no jars in %s", m.jars)
	}
	for _, jar := range jars {
		entries = append(entries, entry{name: "lib/" + filepath.Base(jar), local: jar, mode: 0o644})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

// digestOf names the content of an image. Of the large file of the system, whose name in the cache says what it is, only the size counts.
func digestOf(entries []entry) (string, error) {
	h := sha256.New()
	for _, e := range entries {
		r, size, err := e.open()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %o %d\n", e.name, e.mode, size)
		if e.name != "rootfs.tar" {
			_, err = io.Copy(h, r)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func (e entry) open() (io.ReadCloser, int64, error) {
	if e.local == "" {
		return io.NopCloser(strings.NewReader(string(e.text))), int64(len(e.text)), nil
	}
	f, err := os.Open(e.local)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func writeTar(w io.Writer, entries []entry) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	t := tar.NewWriter(buffered)
	for _, e := range entries {
		r, size, err := e.open()
		if err != nil {
			return err
		}
		err = t.WriteHeader(&tar.Header{Name: e.name, Mode: e.mode, Size: size})
		if err == nil {
			_, err = io.Copy(t, r)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return fmt.Errorf("pack %s: %w", e.name, err)
		}
	}
	return errors.Join(t.Close(), buffered.Flush())
}

// materials are the large parts of the self-made image, in the cache.
type materials struct{ rootfs, jars string }

func (d *demo) materials(ctx context.Context) (materials, error) {
	jars, err := hadoop.FetchJars(ctx, d.progress)
	if err != nil {
		return materials{}, err
	}
	rootfs, err := d.ensureRootfs(ctx, runtime.GOARCH)
	return materials{rootfs, jars}, err
}
