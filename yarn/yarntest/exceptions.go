package yarntest

import (
	"fmt"
	"strings"

	"github.com/flott-dev/flott/yarn/ipc"
)

// Scenario names a mistake, or a fault, that YARN answers with an exception.
type Scenario string

// Scenarios of the three protocols.
const (
	AllocateUnregistered   Scenario = "allocate before register or after a restart of the RM"
	FinishUnregistered     Scenario = "finish before register"
	RegisteredTwice        Scenario = "register twice"
	AttemptUnknown         Scenario = "call for an attempt that ended"
	WrongResponseID        Scenario = "allocate with a response id that is neither last nor before"
	AskTooLarge            Scenario = "ask beyond the maximum allocation"
	AskLabelUnknown        Scenario = "ask with a node label on a cluster without labels"
	BlacklistAny           Scenario = "blacklist *"
	ReleaseForeign         Scenario = "release a container of another attempt"
	AMRMTokenUnknown       Scenario = "connect with the AMRM token of an attempt that ended"
	AMRMTokenInvalid       Scenario = "connect with an AMRM token of a forgotten key"
	ApplicationUnknown     Scenario = "ask about an application that does not exist"
	NMTokenInvalid         Scenario = "connect with an NM token of a forgotten key"
	NMTokenOfOtherApp      Scenario = "start a container with another application's NM token"
	ContainerTokenForged   Scenario = "start with a container token that was changed"
	ContainerTokenExpired  Scenario = "start with an expired container token"
	ContainerOfPreviousRM  Scenario = "start a container that a previous RM allocated"
	ContainerStartedBefore Scenario = "start a container twice"
	ContainerUnknown       Scenario = "stop or inspect a container the node never had"
	NodeNotReady           Scenario = "stop a container on a node that is still recovering it"
	ResourceWithoutURL     Scenario = "start with a local resource without URL"
	ResourceWithoutType    Scenario = "start with a local resource without type"
	ResourceWithoutVisible Scenario = "start with a local resource without visibility"
)

// Exception is what YARN answers in a Scenario. Prefix is how the message begins (after white space), up to its first
// variable part; a Format has the variable parts as %v.
type Exception struct {
	Scenario Scenario
	Class    string
	Prefix   string
	Format   string
	// PerContainer is true when it comes in failed_requests instead of failing the call.
	PerContainer bool
}

const (
	yarnClass    = "org.apache.hadoop.yarn.exceptions."
	tokenClass   = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
	yarnItself   = yarnClass + "YarnException"
	invalidAM    = yarnClass + "InvalidApplicationMasterRequestException"
	unauthorized = "Unauthorized request to start container."
)

// Exceptions is the whole table, as Hadoop 3.5.0 has it.
func Exceptions() []Exception {
	return []Exception{
		{AllocateUnregistered, yarnClass + "ApplicationMasterNotRegisteredException", "AM is not registered for known application attempt: ",
			"AM is not registered for known application attempt: %v or RM had restarted after AM registered.  AM should re-register.", false},
		{FinishUnregistered, yarnClass + "ApplicationMasterNotRegisteredException",
			"Application Master is trying to unregister before registering for: ",
			"Application Master is trying to unregister before registering for: %v", false},
		{RegisteredTwice, invalidAM, "Application Master is already registered : ", "Application Master is already registered : %v", false},
		{AttemptUnknown, yarnClass + "ApplicationAttemptNotFoundException", "Application attempt ",
			"Application attempt %v doesn't exist in ApplicationMasterService cache.", false},
		{WrongResponseID, invalidAM, "Invalid responseId in AllocateRequest from application attempt: ",
			"Invalid responseId in AllocateRequest from application attempt: %v expect responseId to be %v but get %v", false},
		{AskTooLarge, yarnClass + "InvalidResourceRequestException", "Invalid resource request! Cannot allocate containers as ",
			"Invalid resource request! Cannot allocate containers as requested resource is greater than maximum allowed allocation. " +
				"Requested resource type=[memory-mb], Requested resource=<memory:%v, vCores:%v>, maximum allowed allocation=<memory:%v, vCores:%v>", false},
		{AskLabelUnknown, yarnClass + "InvalidLabelResourceRequestException", "Invalid resource request, node label not enabled ",
			"Invalid resource request, node label not enabled but request contains label expression", false},
		{BlacklistAny, yarnClass + "InvalidResourceBlacklistRequestException", "Cannot add * to the blacklist!", "Cannot add * to the blacklist!", false},
		{ReleaseForeign, yarnClass + "InvalidContainerReleaseException", "Cannot release container : ",
			"Cannot release container : %v not belonging to this application attempt : %v", false},
		{AMRMTokenUnknown, tokenClass, "appattempt_", "%v not found in AMRMTokenSecretManager.", false},
		{AMRMTokenInvalid, tokenClass, "Invalid AMRMToken from ", "Invalid AMRMToken from %v", false},
		{ApplicationUnknown, yarnClass + "ApplicationNotFoundException", "Application with id '",
			"Application with id '%v' doesn't exist in RM. Please check that the job submission was successful.", false},
		{NMTokenInvalid, tokenClass, "", "Given NMToken for application : %v seems to have been generated illegally.", false},
		{NMTokenOfOtherApp, yarnItself, unauthorized, "\n" + unauthorized + " \nNMToken for application attempt : %v was used for starting " +
			"container with container token issued for application attempt : %v", true},
		{ContainerTokenForged, tokenClass, "Invalid container token used for starting container on : ",
			"Invalid container token used for starting container on : %v", false},
		{ContainerTokenExpired, yarnItself, unauthorized, "\n" + unauthorized + " \nThis token is expired. current time is %v found %v", true},
		{ContainerOfPreviousRM, yarnClass + "InvalidContainerException", "Container container_",
			"Container %v rejected as it is allocated by a previous RM", true},
		{ContainerStartedBefore, yarnItself, unauthorized, "\n" + unauthorized + " \nAttempt to relaunch the same container with id %v.", true},
		{ContainerUnknown, yarnItself, "Container container_", "Container %v is not handled by this NodeManager", true},
		{NodeNotReady, yarnClass + "NMNotYetReadyException", "Container container_", "Container %v is recovering, try later", true},
		{ResourceWithoutURL, yarnItself, "Null resource URL for local resource ", "Null resource URL for local resource %v : %v", true},
		{ResourceWithoutType, yarnItself, "Null resource type for local resource ", "Null resource type for local resource %v : %v", true},
		{ResourceWithoutVisible, yarnItself, "Null resource visibility for local resource ", "Null resource visibility for local resource %v : %v", true},
	}
}

// throw makes the scenario's exception.
func (c *Cluster) throw(s Scenario, args ...any) *ipc.RemoteError {
	e := c.exceptions[s]
	return &ipc.RemoteError{Class: e.Class, Message: fmt.Sprintf(e.Format, args...)}
}

func hasPrefix(message, prefix string) bool {
	return strings.HasPrefix(strings.TrimSpace(message), strings.TrimSpace(prefix))
}
