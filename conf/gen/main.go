// Command gen writes docs/options.md from the declared options. It is run by "go generate ./conf" in the folder conf, or with the
// file to write as its argument; it does nothing else.
package main

import (
	"fmt"
	"os"

	"github.com/flott-dev/flott/conf"
)

func main() {
	path := "docs/options.md"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := os.WriteFile(path, []byte(conf.Reference()), 0o644); err != nil {
		fmt.Fprintf(os.Stderr, "write option reference: %v\n", err)
		os.Exit(1)
	}
}
