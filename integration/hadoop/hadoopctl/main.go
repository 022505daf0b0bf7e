// Command hadoopctl runs real Hadoop on this machine for people: up, down, status, env, kill, start. See package hadoop.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

const usage = `usage: hadoopctl [--state DIR] COMMAND

  up [flags]      start a cluster in the background (up --help lists the flags)
  down            end it and remove its data; the logs stay
  status          what runs and what does not serve
  env             print the exports that make a shell its client
  kill DAEMON     kill -9 one daemon: zk, nn, dn, rm, nm1, nm2, nm3
  start DAEMON    start it again and wait until it serves

The state directory is --state, else $FLOTT_HADOOP_STATE, else one in the user's cache directory.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hadoopctl:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("hadoopctl", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.Usage = func() { fmt.Fprint(progress, usage) }
	state := flags.String("state", hadoop.DefaultStateDir(), "state directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return errors.New("no command")
	}
	command, rest := flags.Arg(0), flags.Args()[1:]
	switch command {
	case "up":
		return up(ctx, *state, rest, out, progress)
	case "down":
		return down(*state, rest)
	}
	c, err := hadoop.Open(*state)
	if err != nil {
		return fmt.Errorf("%w (hadoopctl up starts one)", err)
	}
	switch command {
	case "status":
		return status(ctx, c, out)
	case "env":
		printEnv(c, out)
		return nil
	case "kill", "start":
		if len(rest) != 1 {
			return fmt.Errorf("%s wants one daemon: %s", command, strings.Join(c.Daemons(), ", "))
		}
		if command == "kill" {
			return c.Kill(rest[0])
		}
		return c.StartDaemon(ctx, rest[0])
	}
	return fmt.Errorf("unknown command %q; hadoopctl --help lists them", command)
}

func up(ctx context.Context, state string, args []string, out, progress io.Writer) error {
	o := hadoop.Options{Persist: true, Progress: func(line string) { fmt.Fprintln(progress, line) }}
	flags := flag.NewFlagSet("hadoopctl up", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.StateDir, "state", state, "state directory")
	flags.IntVar(&o.NodeManagers, "nodemanagers", 2, "NodeManagers, 1 to 3")
	flags.IntVar(&o.NodeMemoryMB, "memory", 8192, "MB that each NodeManager offers")
	flags.IntVar(&o.NodeVCores, "vcores", 8, "vcores that each NodeManager offers")
	flags.IntVar(&o.MinAllocationMB, "min-allocation", 64, "MB of the smallest container")
	heartbeat := flags.Int("heartbeat", 200, "NodeManager heartbeat in ms")
	expiry := flags.Int("node-expiry", 10000, "ms until a silent NodeManager counts as lost")
	flags.IntVar(&o.OffSwitch, "offswitch", 100, "containers that one heartbeat may get; 1 spreads them")
	flags.BoolVar(&o.VmemCheck, "vmem-check", false, "kill containers above their virtual size")
	flags.BoolVar(&o.PmemCheck, "pmem-check", false, "kill containers above their size")
	flags.BoolVar(&o.RMRecovery, "recovery", false, "keep applications over a ResourceManager restart")
	flags.IntVar(&o.PortOffset, "port-offset", 0, "added to every port; a multiple of 100")
	flags.BoolVar(&o.AutoPorts, "auto-ports", false, "take the next port offset whose ports are all free")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("up takes flags only, not %q", flags.Arg(0))
	}
	o.Heartbeat = time.Duration(*heartbeat) * time.Millisecond
	o.NodeExpiry = time.Duration(*expiry) * time.Millisecond
	c, err := hadoop.Start(ctx, o)
	if err != nil {
		return err
	}
	printEnv(c, out)
	return nil
}

func down(state string, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("down takes no arguments, not %q", args[0])
	}
	c, err := hadoop.Open(state)
	if errors.Is(err, hadoop.ErrNoCluster) {
		// Daemons may be left although the description is gone.
		return hadoop.StopDir(state)
	}
	if err != nil {
		return err
	}
	return c.Stop()
}

func status(ctx context.Context, c *hadoop.Cluster, out io.Writer) error {
	for _, d := range c.Daemons() {
		pid, err := c.PID(d)
		if err != nil {
			return err
		}
		if pid == 0 {
			fmt.Fprintf(out, "%-4s does not run   %s\n", d, c.LogFile(d))
			continue
		}
		fmt.Fprintf(out, "%-4s process %-7d %s\n", d, pid, c.LogFile(d))
	}
	pending, err := c.Pending(ctx)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fmt.Errorf("not ready: %s", strings.Join(pending, "; "))
	}
	fmt.Fprintln(out, "ready")
	return nil
}

func printEnv(c *hadoop.Cluster, out io.Writer) {
	fmt.Fprintf(out, "# ResourceManager %s  NameNode %s  %s  ZooKeeper %s\n", c.RMWebURL(), c.NameNodeWebURL(), c.DefaultFS(), c.ZooKeeper())
	for _, e := range c.Env() {
		name, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(out, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
}
