// Package outside holds a job module that is not part of this tree, with a go.mod of its own, and the test that it builds and runs.
//
// The test is the whole package; it exports nothing. What always holds: the module (testdata/job) is built as a user's is: flott comes from
// a module proxy, as the files of one version; nothing replaces it, and what go.mod of this tree would say to the main module alone does not
// count. No network is used: the proxy is a directory, and other modules come from the module cache.
package outside
