// Package restapi holds the JSON shapes of flott's REST interface, version 1: those of Flink 1.20, as recorded from a running one
// (testdata). appmaster/rest writes them, bin/cli reads them; both ignore fields they do not know.
//
// Names, order and number forms are Flink's: times are Unix milliseconds, -1 where there is none yet; sizes of resources are MiB, of
// memory bytes; a Double prints with a fraction, or as the text "NaN". Counts of states are maps that hold every state. Lists are never
// null.
package restapi
