// Package flink sets Apache Flink 1.20.1 up and drives it on YARN, as the other side of the benchmarks: flink-dist shaded from the modules on
// Maven Central (java/pom.xml), and jobs of our own (java/bench) that do what flott's jobs below integration/bench/jobs and examples do.
//
// Its caller is command bench. Ensure prepares both once per user, in the user's cache directory, under names that contain a hash of what
// they were made from; New writes a configuration with Flink's stock sizes and JVM options. The methods of Client only make commands
// (Flink's classes, started as its scripts start them), which the caller runs and measures; REST reads what a JobManager answers.
// It starts no goroutine.
//
// What always holds: nothing of Flink or Hadoop is in the tree, and a directory in the cache is whole or absent. It does not tune Flink:
// every option that is not stock is one that the caller gave.
package flink
