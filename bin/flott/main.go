// Command flott submits jobs to Hadoop YARN and looks after them; see package bin/cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"github.com/flott-dev/flott/bin/cli"
)

// release is set by -ldflags "-X main.release=…".
var release string

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	columns := 0
	if w, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil {
		columns = w
	}
	os.Exit(cli.Main(context.Background(), cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Columns: columns,
		Signals: signals, Exit: os.Exit, Version: version(),
	}, os.Args[1:]))
}

// version is the stamp of this build, from the linker and from what go build knows.
func version() cli.Version {
	v := cli.Version{Release: release, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Release == "" && info.Main.Version != "(devel)" {
		v.Release = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
