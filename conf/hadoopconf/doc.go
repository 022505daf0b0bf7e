// Package hadoopconf owns what Hadoop's own configuration says: core-site.xml, hdfs-site.xml and yarn-site.xml, with final values and
// ${variables}, and the few answers that flott needs from them (default file system, addresses of the ResourceManagers and
// NameNodes, memory checks).
//
// It is called by bin, which loads it once on the client and hands it, or values from it, to the packages under yarn; the launch file
// carries it to the containers. Everything is a function over values: no goroutine, no global state, no logging; the environment
// comes in as a function.
//
// What always holds: a *Config is immutable and may be shared; its values are trimmed and their variables replaced; reading
// took bounded memory (file size, depth and length of expansion), followed no include and resolved no entity; String never shows
// a value.
//
// What it does not do: it knows Hadoop's default values only where a function here needs one (hadoop's *-default.xml are inside
// jars), so every getter takes the default from its caller.
package hadoopconf
