package nm

import (
	"errors"
	"fmt"
	"strings"
)

// What a result's error may wrap. Everything else is an error of the node or the way to it.
var (
	// ErrNoToken: no NM token for the node; the YARN RM sends one per attempt and node only. Release the container.
	ErrNoToken = errors.New("no NM token for the node")
	// ErrTokenRejected: the node refuses the newest NM token or the container's token.
	ErrTokenRejected = errors.New("token rejected by the node")
	// ErrTokenExpired: the container was started too late after its allocation, or the node's clock is off.
	ErrTokenExpired = errors.New("container token expired")
	// ErrPreviousRM: the container was allocated before a restart of the YARN RM. It is lost: ask anew.
	ErrPreviousRM = errors.New("container allocated by a previous resource manager")
	// ErrAlreadyStarted: the container was started before, and not by a call of this client whose answer was lost. It
	// runs or has ended.
	ErrAlreadyStarted = errors.New("container was started before")
	// ErrEnded: the container has run on the node and ended.
	ErrEnded = errors.New("container has already ended")
	// ErrInvalidContext: the node cannot use the launch context (a local resource without type, unknown service).
	ErrInvalidContext = errors.New("invalid launch context")
	// ErrUnknownContainer: the node does not have the container. For Stop that is as good as stopped.
	ErrUnknownContainer = errors.New("container is unknown to the node")
	// ErrUnreachable: the node could not be reached, or was not ready, within the budget.
	ErrUnreachable = errors.New("node unreachable")
)

// Java classes that decide.
const (
	yarnExceptions     = "org.apache.hadoop.yarn.exceptions."
	notYetReadyClass   = yarnExceptions + "NMNotYetReadyException"
	auxServiceClass    = yarnExceptions + "InvalidAuxServiceException"
	invalidContainer   = yarnExceptions + "InvalidContainerException"
	invalidTokenClass  = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
	retriableClass     = "org.apache.hadoop.ipc.RetriableException"
	accessControlClass = "org.apache.hadoop.security.AccessControlException"
)

// remoteRule maps an exception of a NodeManager to a meaning. The first that fits counts; an empty class or text fits
// any.
type remoteRule struct {
	class, text string
	means       error
}

// errRetry marks exceptions that pass by waiting; in a result the budget is spent.
var errRetry = fmt.Errorf("%w: not ready", ErrUnreachable)

var remoteRules = []remoteRule{
	{class: notYetReadyClass, means: errRetry},
	{class: retriableClass, means: errRetry},
	{text: "This token is expired", means: ErrTokenExpired},
	{text: "allocated by a previous RM", means: ErrPreviousRM},
	{text: "already is running on this node", means: ErrAlreadyStarted},
	{text: "Attempt to relaunch the same container", means: ErrAlreadyStarted},
	{text: "was recently stopped on node manager", means: ErrEnded},
	{text: "is not handled by this NodeManager", means: ErrUnknownContainer},
	{text: "Null resource", means: ErrInvalidContext},
	{class: auxServiceClass, means: ErrInvalidContext},
	{class: invalidTokenClass, means: ErrTokenRejected},
	{text: "Unauthorized request to start container", means: ErrTokenRejected},
	{class: accessControlClass, means: ErrTokenRejected},
	{class: invalidContainer, means: ErrPreviousRM},
}

// meaning returns what an exception of a NodeManager means; nil for one without a rule.
func meaning(class, message string) error {
	for _, r := range remoteRules {
		if (r.class == "" || r.class == class) && strings.Contains(message, r.text) {
			return r.means
		}
	}
	return nil
}
