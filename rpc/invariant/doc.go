// Package invariant turns programming errors into panics. Every package may import it; it imports only the standard library.
//
// Failf always panics. Checks that cost time belong behind Enabled, a constant that is true only under the build tag "invariants".
package invariant

import "fmt"

// Failf ends the process: the caller has found a state that no input can cause. The message names the package first.
func Failf(format string, args ...any) {
	panic(fmt.Sprintf("invariant violated: "+format, args...))
}
