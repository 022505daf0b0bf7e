package yarntest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
)

// ScriptConfig is what a NodeManager adds to a launch context.
type ScriptConfig struct {
	LogDir      string
	Environment map[string]string // set by the NodeManager; wins over the context's
	Resources   map[string]string // link name → localised path
}

// LaunchScript writes launch_container.sh as a NodeManager of Hadoop 3.5 does (Java: ContainerLaunch and its
// UnixShellScriptBuilder), less its debugging output: markers replaced, values inside double quotes, the command
// inside double quotes of a second shell.
func LaunchScript(c *yarnpb.ContainerLaunchContextProto, cfg ScriptConfig) string {
	expand := strings.NewReplacer("<LOG_DIR>", cfg.LogDir, "<CPS>", ":", "<ADD_OPENS>", "", "{{", "$", "}}", "").Replace
	env := map[string]string{}
	for _, kv := range c.GetEnvironment() {
		env[kv.GetKey()] = expand(kv.GetValue())
	}
	maps.Copy(env, cfg.Environment)

	var b strings.Builder
	b.WriteString("#!/bin/bash\n\nset -o pipefail -e\n")
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&b, "export %s=\"%s\"\n", name, env[name])
	}
	for _, link := range slices.Sorted(maps.Keys(cfg.Resources)) {
		if dir := path.Dir(link); dir != "." {
			fmt.Fprintf(&b, "mkdir -p %s\n", dir)
		}
		fmt.Fprintf(&b, "ln -sf -- \"%s\" \"%s\"\n", cfg.Resources[link], link)
	}
	commands := make([]string, len(c.GetCommand()))
	for i, cmd := range c.GetCommand() {
		commands[i] = expand(cmd)
	}
	fmt.Fprintf(&b, "exec /bin/bash -c \"%s\"\n", strings.Join(commands, " "))
	return b.String()
}
