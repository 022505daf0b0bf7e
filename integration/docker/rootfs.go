package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

// release is a distribution's release as /etc/os-release names it.
type release struct{ id, codename string }

var releaseLine = regexp.MustCompile(`(?m)^(ID|VERSION_CODENAME)=["']?([a-z0-9.-]*)["']?$`)

func parseRelease(text string) release {
	var r release
	for _, m := range releaseLine.FindAllStringSubmatch(text, -1) {
		if m[1] == "ID" {
			r.id = m[2]
		} else {
			r.codename = m[2]
		}
	}
	return r
}

// javaPackages are the runtimes that Hadoop 3.5 works with, the preferred one first; a release has one of them.
var javaPackages = []string{"openjdk-17-jre-headless", "openjdk-21-jre-headless"}

// ensureRootfs returns a tar file of this machine's distribution, at its smallest, with a Java runtime.
func (d *demo) ensureRootfs(ctx context.Context, arch string) (string, error) {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("build an image: %w", err)
	}
	r := parseRelease(string(text))
	if r.id != "debian" && r.id != "ubuntu" || os.Geteuid() != 0 {
		return "", errors.New("an image can be built only as root on Debian or Ubuntu: set HADOOP_IMAGE to one that this machine can pull, or do that there and load it here (docker save, docker load)")
	}
	file := filepath.Join(d.cache, fmt.Sprintf("rootfs-%s-%s.tar", r.codename, arch))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		if err := hadoop.Install(ctx, d.progress, "it makes the image's root file system", "debootstrap"); err != nil {
			return "", err
		}
	}
	mirror, err := mirrorOf(ctx, r)
	if err != nil {
		return "", err
	}
	java, err := javaPackage(ctx)
	if err != nil {
		return "", err
	}
	began := time.Now()
	d.say("  making a root file system of %s with %s from %s (once, a minute or two)", r.codename, java, mirror)
	if err := d.debootstrap(ctx, r, mirror, java, file); err != nil {
		return "", err
	}
	d.say("  done after %s: %s", since(began), file)
	return file, nil
}

// mirrorOf asks apt where this release's main packages come from.
func mirrorOf(ctx context.Context, r release) (string, error) {
	targets, err := command{name: "apt-get", args: []string{"indextargets", "Created-By: Packages",
		"--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)"}}.output(ctx)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(targets) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == r.codename && f[1] == "main" {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("find a mirror of %s: apt's sources name none", r.codename)
}

func javaPackage(ctx context.Context) (string, error) {
	var errs []error
	for _, p := range javaPackages {
		_, err := command{name: "apt-cache", args: []string{"show", "--no-all-versions", p}}.output(ctx)
		if err == nil {
			return p, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("find a Java runtime for the image: %w", errors.Join(errs...))
}

func (d *demo) debootstrap(ctx context.Context, r release, mirror, java, file string) error {
	work, err := os.MkdirTemp(d.cache, "rootfs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	components := "main"
	if r.id == "ubuntu" {
		components = "main,universe"
	}
	log, err := os.Create(filepath.Join(d.dir, "debootstrap.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	dir := filepath.Join(work, "root")
	cmd := command{name: "debootstrap", stdout: log, args: []string{"--variant=minbase", "--components=" + components,
		"--include=ca-certificates-java,procps," + java, r.codename, dir, mirror}}
	if _, err := cmd.output(ctx); err != nil {
		// An interrupted one leaves /proc and /sys mounted there.
		return errors.Join(fmt.Errorf("%w (more in %s)", err, log.Name()), unmountBelow(work))
	}
	if err := unmountBelow(work); err != nil {
		return err
	}
	packed := filepath.Join(work, "rootfs.tar")
	pack := command{name: "tar", args: []string{"-C", dir, "--exclude", "./proc/*", "--exclude", "./sys/*", "--exclude", "./dev/*",
		"--exclude", "./var/cache/apt/*", "--exclude", "./var/lib/apt/lists/*", "--exclude", "./debootstrap", "--exclude", "./usr/share/doc/*",
		"--exclude", "./usr/share/man/*", "--exclude", "./usr/share/locale/*", "--numeric-owner", "-cf", packed, "."}}
	if _, err := pack.output(ctx); err != nil {
		return err
	}
	return os.Rename(packed, file) // whole or not at all
}
