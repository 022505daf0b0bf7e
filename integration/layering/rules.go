package layering

// Module is the module path of the project.
const Module = "github.com/flott-dev/flott"

const (
	maxFileLines     = 600
	maxFuncLines     = 100
	maxSelectLines   = 150 // of a function whose body is one select loop
	anywhere         = ""
	invariantPackage = "rpc/invariant" // open to all
)

// allowedImports says for a folder which other folders its packages may import; the longest prefix rules. A folder may
// always import itself and the standard library. What is not listed is forbidden, also to tests.
var allowedImports = map[string][]string{
	"conf":        {},
	"rpc":         {"conf"},
	"yarn":        {"conf"},
	"zkha/ha":     {"rpc"},
	"zkha":        {"zkha/ha", "rpc", "conf"},
	"taskrunner":  {"rpc", "conf", "zkha/ha", "yarn/dfs", "yarn/token", "yarn/ugi"},
	"appmaster":   {"rpc", "conf", "yarn", "zkha/ha"},
	"flow":        {"rpc/plan", "rpc/program", "rpc/ids", "taskrunner/operator", "taskrunner/connector", "taskrunner/state"},
	"bin/roles":   {"conf", "rpc", "yarn", "zkha", "appmaster", "taskrunner"},
	"bin/cli":     {"conf", "rpc", "yarn", "zkha"},
	"bin/flott":   {"bin/cli", "bin/roles"},
	"examples":    {"flow"},
	"integration": {"conf", "rpc", "yarn", "zkha", "taskrunner", "appmaster", "flow", "bin", "examples"},
	// Programs that a test submits are jobs like anybody's.
	"integration/jobs":       {"flow"},
	"integration/bench/jobs": {"flow"},
}

// fileImports are imports that one file or folder may have beyond allowedImports.
var fileImports = []struct{ file, imports, why string }{
	{"flow/main.go", "bin/roles", "flow.Main and flow.Run hand the program to the role that the process has"},
	{"flow/flowtest", "bin/roles", "runs a job over slices in the local cluster"},
}

// deniedImports narrows allowedImports inside a folder.
var deniedImports = []struct{ folder, imports, why string }{
	{"taskrunner/executor", "taskrunner/task", "the executor speaks to taskrunner/jobruntime in serialisable messages"},
	{"taskrunner/executor", "taskrunner/exchange", "the executor speaks to taskrunner/jobruntime in serialisable messages"},
	{"taskrunner/executor", "taskrunner/operator", "the executor speaks to taskrunner/jobruntime in serialisable messages"},
	{"taskrunner/executor", "taskrunner/state", "the executor speaks to taskrunner/jobruntime in serialisable messages"},
	{"taskrunner/exchange", "taskrunner/operator", "the exchange knows ports and bytes; taskrunner/task connects the two"},
}

// thirdParty lists the modules that go.mod requires directly. importers are folders; tests of other folders need no entry
// when testOnly is set.
var thirdParty = []struct {
	module    string
	importers []string
	testOnly  bool
	why       string
}{
	{"github.com/colinmarc/hdfs/v2", []string{"yarn/dfs", "yarn/proto/commonpb/registry_test.go"}, false,
		"moves file bytes to and from DataNodes; one test links its messages beside ours"},
	{"github.com/google/go-cmp", []string{anywhere}, true, "differences in test messages"},
	{"github.com/spf13/pflag", []string{"bin"}, false, "command lines in Flink's style (-D, -t, -pn)"},
	{"go.yaml.in/yaml/v3", []string{"conf", "integration/docker"}, false, "config.yaml, with line numbers; the compose file of the demo in Docker"},
	{"golang.org/x/sync", []string{"rpc", "yarn", "zkha", "appmaster", "taskrunner", "bin", "integration"}, false, "errgroup"},
	{"golang.org/x/sys", []string{"taskrunner", "bin", "yarn/dfs"}, false, "mapped memory, process limits, rename without overwrite"},
	{"golang.org/x/term", []string{"bin"}, false, "whether progress goes to a terminal, and how wide it is"},
	{"google.golang.org/grpc", []string{"rpc"}, false, "control RPC between our processes"},
	{"google.golang.org/protobuf", []string{"rpc", "yarn", "zkha", "appmaster", "taskrunner", "bin/roles", "integration"}, false,
		"messages between our processes and to Hadoop"},
}

// bannedFolders are names that say nothing about what is inside.
var bannedFolders = []string{"util", "utils", "common", "pkg", "helpers", "misc", "internal/common"}

// exception is a place where a rule does not hold, with the reason. where is a file, or a folder for all below.
type exception struct{ where, why string }

// mayPanic: a programming error ends the process through rpc/invariant; everything else is an error value.
var mayPanic = []exception{
	{invariantPackage, "its purpose"},
	{"rpc/actor", "a handler's panic goes on with the actor's name; the watchdog ends the process under the tag invariants"},
	{"taskrunner/operator/codec.go", "MustCodec, for types that are known to have a codec"},
}

// mayInit are files whose init function has a reason.
var mayInit = []exception{}

// mayStoreContext names fields of type context.Context, as file:Type. A context belongs to a call; a stored one needs a
// reason.
var mayStoreContext = []exception{
	{"appmaster/coordinatorhost/coordinatorhost.go:Host", "the life of the coordinators' goroutines, which Close ends"},
	{"rpc/gateway", "the lives of streams, of the in-process server and its dialers, and of a log that is being read"},
	{"rpc/actor/loop.go:Loop", "the life of the work that handlers start"},
	{"rpc/transport", "the lives of dialers and streams: gRPC wants a context for as long as a stream lives"},
	{"taskrunner/exchange/exchange.go:Exchange", "the life of its connections, which Close ends"},
	{"taskrunner/task/task.go:Task", "the life of the task; its cause says why it ended"},
	{"yarn/dfs", "readers and writers are io interfaces without contexts: each keeps that of its Open or Create"},
	{"yarn/ipc/ipc.go:Client", "the life of its connections, which Close ends"},
	{"yarn/ipc/ipctest/server.go:Server", "the life of a fake's goroutines"},
	{"yarn/yarntest/cluster.go:Cluster", "the life of a fake's goroutines"},
}

// mayPrint are the folders whose programs talk to a person on standard output.
var mayPrint = []string{"bin", "examples", "integration"}

// machinePaths are words of a machine that someone worked on; they must not be in the tree.
var machinePaths = []string{"/wor" + "k/", "/roo" + "t/", "/tmp/bri" + "ef"}
