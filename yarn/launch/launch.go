package launch

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
)

// Role is what a process of ours is, and how it shows on a command line.
type Role struct {
	Name       string // value of RoleVariable
	Entrypoint string // first argument: the word Flink shows there, for people and tools that look for it
}

// Roles that run in containers.
var (
	ApplicationMaster = Role{"appmaster", "YarnApplicationClusterEntryPoint"}
	SessionMaster     = Role{"session", "YarnSessionClusterEntrypoint"}
	Worker            = Role{"worker", "YarnTaskExecutorRunner"}
)

// Variables that every context sets.
const (
	RoleVariable   = "FLOTT_ROLE"    // Role.Name
	LogDirVariable = "FLOTT_LOG_DIR" // the one log directory that standard output goes to; LOG_DIRS may hold several
)

// Limits. Linux refuses one argument or variable beyond 128 KiB at exec, and all of them together beyond a quarter of
// the stack limit (2 MiB by default). The YARN RM stores an AM's context in one znode of at most 1 MiB.
const (
	maxString      = 128<<10 - 1
	maxEnvironment = 1 << 20
	maxContext     = 900 << 10
)

// ErrTooLarge is wrapped by the error of a Spec that exceeds a limit.
var ErrTooLarge = errors.New("launch context too large")

// AccessType is what an ACL grants. Java: ApplicationAccessType.
type AccessType int32

// Access types.
const (
	ViewApp   AccessType = AccessType(yarnpb.ApplicationAccessTypeProto_APPACCESS_VIEW_APP)
	ModifyApp AccessType = AccessType(yarnpb.ApplicationAccessTypeProto_APPACCESS_MODIFY_APP)
)

// Spec says what to start.
type Spec struct {
	Role Role
	// Program is the executable as seen from the container's working directory, for example "./job". Localised files
	// are executable.
	Program string
	// Args follow Role.Entrypoint, literally.
	Args []string
	// Environment holds literal values. Names that the NodeManager sets itself (CONTAINER_ID, PWD, …) lose to its own.
	Environment map[string]string
	// Resources by link name: the path under the working directory where the NodeManager puts the file.
	Resources map[string]Resource
	// Credentials for the NodeManager (localisation, log upload) and the process; may be nil. An AMRM token in it is
	// left out: the YARN RM adds the AM's own, workers must have none.
	Credentials *token.Credentials
	// Stdout and Stderr are file names in the log directory; default stdout and stderr.
	Stdout, Stderr string
	// ACLs by access type, in Hadoop's form "user,user group,group"; "*" for everybody.
	ACLs map[AccessType]string
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	fileName     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// Validate names the first thing in the Spec that cannot be launched.
func (s Spec) Validate() error {
	if s.Program == "" || s.Role.Name == "" || s.Role.Entrypoint == "" {
		return errors.New("launch: program or role is missing")
	}
	for _, arg := range append([]string{s.Program}, s.Args...) {
		if strings.ContainsRune(arg, 0) {
			return fmt.Errorf("launch: argument %q contains NUL", arg)
		}
	}
	for name, value := range s.Environment {
		if !variableName.MatchString(name) {
			return fmt.Errorf("launch: %q is no name of an environment variable", name)
		}
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("launch: environment variable %s contains NUL", name)
		}
		if name == RoleVariable || name == LogDirVariable {
			return fmt.Errorf("launch: environment variable %s is reserved", name)
		}
	}
	for _, file := range []string{s.Stdout, s.Stderr} {
		if file != "" && !fileName.MatchString(file) {
			return fmt.Errorf("launch: %q is no plain file name", file)
		}
	}
	for link, r := range s.Resources {
		if err := r.validate(link); err != nil {
			return err
		}
	}
	return nil
}

// Context builds the message. Its size is checked: the error wraps ErrTooLarge and names what is too large.
func (s Spec) Context() (*yarnpb.ContainerLaunchContextProto, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	environment, err := s.environment()
	if err != nil {
		return nil, err
	}
	command := s.command()
	if len(command) > maxString {
		return nil, fmt.Errorf("launch: command of %d bytes, at most %d: %w", len(command), maxString, ErrTooLarge)
	}
	b := yarnpb.ContainerLaunchContextProto_builder{
		Environment: environment,
		Command:     []string{command},
		Tokens:      s.tokens(),
	}
	for _, link := range slices.Sorted(maps.Keys(s.Resources)) {
		value, err := s.Resources[link].Proto()
		if err != nil {
			return nil, fmt.Errorf("launch: local resource %s: %w", link, err)
		}
		b.LocalResources = append(b.LocalResources,
			yarnpb.StringLocalResourceMapProto_builder{Key: proto.String(link), Value: value}.Build())
	}
	for _, access := range slices.Sorted(maps.Keys(s.ACLs)) {
		b.Application_ACLs = append(b.Application_ACLs, yarnpb.ApplicationACLMapProto_builder{
			AccessType: yarnpb.ApplicationAccessTypeProto(access).Enum(),
			Acl:        proto.String(s.ACLs[access]),
		}.Build())
	}
	context := b.Build()
	if size := proto.Size(context); size > maxContext {
		return nil, fmt.Errorf("launch: context of %d bytes, at most %d: %w", size, maxContext, ErrTooLarge)
	}
	return context, nil
}

// environment adds our two variables; the log directory is the only value with a marker left whole.
func (s Spec) environment() ([]*yarnpb.StringStringMapProto, error) {
	values := map[string]string{
		RoleVariable:   inDoubleQuotes(s.Role.Name),
		LogDirVariable: logDirMarker,
	}
	total := 0
	for name, value := range s.Environment {
		size := len(name) + 1 + len(value)
		if total += size; size > maxString || total > maxEnvironment {
			return nil, fmt.Errorf("launch: environment variable %s of %d bytes: %w", name, len(value), ErrTooLarge)
		}
		values[name] = inDoubleQuotes(value)
	}
	var out []*yarnpb.StringStringMapProto
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, yarnpb.StringStringMapProto_builder{
			Key: proto.String(name), Value: proto.String(values[name]),
		}.Build())
	}
	return out, nil
}

// command is one line for `bash -c`: the process takes the place of that shell.
func (s Spec) command() string {
	words := []string{"exec", word(s.Program), word(s.Role.Entrypoint)}
	for _, arg := range s.Args {
		words = append(words, word(arg))
	}
	line := inDoubleQuotes(strings.Join(words, " "))
	stdout, stderr := s.Stdout, s.Stderr
	if stdout == "" {
		stdout = "stdout"
	}
	if stderr == "" {
		stderr = "stderr"
	}
	return fmt.Sprintf("%s 1>'%s/%s' 2>'%[2]s/%[4]s'", line, logDirMarker, stdout, stderr)
}

func (s Spec) tokens() []byte {
	if s.Credentials == nil {
		return nil
	}
	c := s.Credentials.Clone()
	c.RemoveKind(token.AMRM)
	return c.Encode()
}
