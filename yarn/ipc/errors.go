package ipc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/flott-dev/flott/yarn/ipc/internal/wire"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// Errors of this side. A call's error wraps one of them, a network error, an error of yarn/sasl, the context's cause, or a RemoteError.
var (
	ErrClosed  = errors.New("ipc: the client is closed")
	ErrBroken  = errors.New("ipc: the connection broke")
	ErrTimeout = errors.New("ipc: no answer in time")
	ErrTooLong = errors.New("ipc: the request is longer than servers accept")
	ErrFrame   = wire.ErrFrame // the peer sent something that is no valid frame
)

// Errors of the server, by Java class; errors.Is of a RemoteError finds them. File system classes match io/fs's errors.
var (
	ErrStandby             = errors.New("server is standby")
	ErrRetriable           = errors.New("server asks to try again")
	ErrNoSuchMethod        = errors.New("server does not know the method")
	ErrNoSuchProtocol      = errors.New("server does not know the protocol")
	ErrVersion             = errors.New("server speaks another version")
	ErrAccessControl       = errors.New("access denied")
	ErrInvalidToken        = errors.New("token is invalid")
	ErrYARN                = errors.New("error of YARN") // every class of org.apache.hadoop.yarn.exceptions
	ErrApplicationNotFound = errors.New("application is unknown")
	ErrAttemptNotFound     = errors.New("application attempt is unknown")
	ErrContainerNotFound   = errors.New("container is unknown")
	ErrNotRegistered       = errors.New("application master is not registered")
	ErrInvalidAMRequest    = errors.New("application master request is invalid")
	ErrInvalidResource     = errors.New("resource request is invalid")
	ErrInvalidLabel        = errors.New("node label of a request is invalid")
	ErrInvalidBlacklist    = errors.New("blacklist request is invalid")
	ErrInvalidRelease      = errors.New("release request is invalid")
	ErrInvalidContainer    = errors.New("container is invalid")
	ErrInvalidAuxService   = errors.New("auxiliary service is unknown")
	ErrNMNotReady          = errors.New("node manager is not ready yet")
	ErrSafeMode            = errors.New("name node is in safe mode")
	ErrQuota               = errors.New("quota is exceeded")
)

const (
	yarnExceptions = "org.apache.hadoop.yarn.exceptions."
	hadoop         = "org.apache.hadoop."
)

// sentinels is the one table from Java classes to errors. A class may stand for several: Java's subclasses match their parent's too.
func sentinels(class string) []error {
	if name, ok := strings.CutPrefix(class, yarnExceptions); ok {
		return append([]error{ErrYARN}, yarnSentinels[name]...)
	}
	return otherSentinels[class]
}

var yarnSentinels = map[string][]error{
	"ApplicationNotFoundException":             {ErrApplicationNotFound},
	"ApplicationAttemptNotFoundException":      {ErrAttemptNotFound},
	"ContainerNotFoundException":               {ErrContainerNotFound},
	"ApplicationMasterNotRegisteredException":  {ErrNotRegistered},
	"InvalidApplicationMasterRequestException": {ErrInvalidAMRequest},
	"InvalidResourceRequestException":          {ErrInvalidResource},
	"InvalidLabelResourceRequestException":     {ErrInvalidResource, ErrInvalidLabel},
	"SchedulerInvalidResoureRequestException":  {ErrInvalidResource}, // spelled so in Java
	"SchedulerInvalidResourceRequestException": {ErrInvalidResource},
	"InvalidResourceBlacklistRequestException": {ErrInvalidBlacklist},
	"InvalidContainerReleaseException":         {ErrInvalidRelease},
	"InvalidContainerException":                {ErrInvalidContainer},
	"InvalidAuxServiceException":               {ErrInvalidAuxService},
	"NMNotYetReadyException":                   {ErrNMNotReady},
}

var otherSentinels = map[string][]error{
	hadoop + "ipc.StandbyException":                       {ErrStandby},
	hadoop + "ipc.RetriableException":                     {ErrRetriable},
	hadoop + "ipc.RpcNoSuchMethodException":               {ErrNoSuchMethod},
	hadoop + "ipc.RpcNoSuchProtocolException":             {ErrNoSuchProtocol},
	hadoop + "ipc.RPC$VersionMismatch":                    {ErrVersion},
	hadoop + "security.AccessControlException":            {ErrAccessControl, fs.ErrPermission},
	hadoop + "security.authorize.AuthorizationException":  {ErrAccessControl, fs.ErrPermission},
	hadoop + "security.token.SecretManager$InvalidToken":  {ErrInvalidToken},
	hadoop + "hdfs.server.namenode.SafeModeException":     {ErrSafeMode},
	hadoop + "hdfs.protocol.NSQuotaExceededException":     {ErrQuota},
	hadoop + "hdfs.protocol.DSQuotaExceededException":     {ErrQuota},
	hadoop + "fs.FileAlreadyExistsException":              {fs.ErrExist},
	hadoop + "hdfs.protocol.AlreadyBeingCreatedException": {fs.ErrExist},
	hadoop + "fs.PathIsNotEmptyDirectoryException":        {fs.ErrExist},
	hadoop + "fs.ParentNotDirectoryException":             {fs.ErrInvalid},
	hadoop + "fs.InvalidPathException":                    {fs.ErrInvalid},
	"java.io.FileNotFoundException":                       {fs.ErrNotExist},
	"java.nio.file.AccessDeniedException":                 {fs.ErrPermission},
}

// RemoteError is an exception that the server answered with.
type RemoteError struct {
	Class   string // Java class, for example org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException
	Message string // without class and stack
	Stack   string // Java stack trace, may be empty
	Code    commonpb.RpcErrorCodeProto
	Fatal   bool // the server closes the connection
}

// Error is the message behind the class's short name.
func (e *RemoteError) Error() string {
	short := e.Class[strings.LastIndexAny(e.Class, ".$")+1:]
	if e.Message == "" {
		return short
	}
	return short + ": " + e.Message
}

// Is matches the errors that the class stands for.
func (e *RemoteError) Is(target error) bool {
	for _, s := range sentinels(e.Class) {
		if s == target {
			return true
		}
	}
	return false
}

// newRemoteError takes an error header apart. Servers put "message\n\tat stack…" in one field, some with the class before it.
func newRemoteError(h *commonpb.RpcResponseHeaderProto) *RemoteError {
	e := &RemoteError{Class: h.GetExceptionClassName(), Code: h.GetErrorDetail(), Fatal: h.GetStatus() == commonpb.RpcStatusProto_FATAL}
	text := strings.TrimPrefix(h.GetErrorMsg(), e.Class+": ")
	if i := strings.Index(text, "\n\tat "); i >= 0 {
		text, e.Stack = text[:i], text[i+1:]
	}
	e.Message = strings.TrimSpace(text)
	if e.Class == "" {
		e.Class = "java.io.IOException"
	}
	return e
}

// CallError is how every failed call ends.
type CallError struct {
	Addr, Method string
	Err          error
	sent         bool
}

// Error names method and address before the cause.
func (e *CallError) Error() string { return fmt.Sprintf("call %s at %s: %v", e.Method, e.Addr, e.Err) }

// Unwrap is the cause.
func (e *CallError) Unwrap() error { return e.Err }

// asSent is err, but with an outcome that takes an earlier try into account: once a try may have reached the server, the whole call may have.
func asSent(err error, sent bool) error {
	var c *CallError
	if !sent || !errors.As(err, &c) || c.sent {
		return err
	}
	return &CallError{c.Addr, c.Method, c.Err, true}
}

// NotSent reports whether a call failed before the server can have seen it; it is safe to send it elsewhere.
func NotSent(err error) bool {
	var c *CallError
	return errors.As(err, &c) && !c.sent && !Refused(err)
}

// Refused reports whether the server answered the call, or the connection, with an error.
func Refused(err error) bool {
	var r *RemoteError
	return errors.As(err, &r)
}

// Unknown reports whether the call may or may not have been executed.
func Unknown(err error) bool {
	var c *CallError
	return errors.As(err, &c) && c.sent && !Refused(err)
}

// Unreachable reports whether the server gave no usable answer, so that another address or a later try may help: not reached, connection
// broken, no answer in time, standby, or asked to try again.
func Unreachable(err error) bool {
	switch {
	case err == nil, errors.Is(err, ErrClosed), errors.Is(err, ErrTooLong), errors.Is(err, ErrFrame), errors.Is(err, context.Canceled):
		return false
	case Refused(err):
		return errors.Is(err, ErrStandby) || errors.Is(err, ErrRetriable)
	default:
		return !isHandshakeError(err)
	}
}
