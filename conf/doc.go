// Package conf owns what a user can set: the typed options (each declared once, in an options_*.go file), the configuration
// directory with config.yaml or flink-conf.yaml, dynamic properties (-Dkey=value) and the memory model. Hadoop's own XML files are
// read by conf/hadoopconf.
//
// It is called by bin (the only place that reads options and turns them into the Config structs of the components) and by the
// launch-file code. Everything here is a function over values: no goroutine, no lock, no global state, no logging. The environment
// comes in as a function, and warnings go out as values.
//
// What always holds: a *Config is immutable and may be shared; every value of a known key in it has been parsed and checked, so
// Option.Get has no error; a deprecated key has been replaced by its present one; where two layers set a key, the later layer has
// won (file < launch file < -D); Entries and String never show a secret.
//
// What it does not do: it never decides what an option means, never reads the process environment by itself, and never writes a file.
package conf

//go:generate go run ./gen ../docs/options.md
