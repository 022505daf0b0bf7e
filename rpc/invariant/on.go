//go:build invariants

package invariant

// Enabled is true when the program was built with the tag "invariants".
const Enabled = true
