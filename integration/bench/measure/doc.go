// Package measure is the pure part of the benchmarks: what a run of them leaves behind, how it is printed, and when two of them differ.
//
// Command bench fills a Report, one Row for each thing it ran, one Metric for each number that it took there, one sample for each run; it
// prints it with Table, keeps it as JSON, and compares two of them with Compare. All functions are pure, but for Read and Write, and may
// be called from any goroutine.
//
// What always holds: no number is kept without every sample behind it, and none without the load of the machine at the time. The package
// measures nothing itself.
package measure
