//go:build !nightly

package scenario

// containerRuns is how often TestContainersReceived counts.
const containerRuns = 5
