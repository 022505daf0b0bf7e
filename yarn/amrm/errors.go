package amrm

import "errors"

// Causes of Terminated, and errors of Register and Unregister.
var (
	// ErrAttemptGone: the YARN RM does not know this attempt any more (ApplicationAttemptNotFoundException, or its
	// AMRM token is unknown). Another attempt may already run.
	ErrAttemptGone = errors.New("application attempt is gone")
	// ErrTokenRejected: the YARN RM refuses the newest AMRM token.
	ErrTokenRejected = errors.New("AMRM token rejected")
	// ErrShutdown: the YARN RM sent AM_SHUTDOWN.
	ErrShutdown = errors.New("resource manager ordered shutdown")
	// ErrOutOfSync: response ids do not match, or someone else registered this attempt.
	ErrOutOfSync = errors.New("out of sync with the resource manager")
	// ErrNotRegistered: Unregister before Register.
	ErrNotRegistered = errors.New("not registered")
	// ErrClosed: the session was closed.
	ErrClosed = errors.New("session closed")
)
