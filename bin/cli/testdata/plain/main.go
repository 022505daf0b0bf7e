// Command plain is in the module but is no job.
package main

func main() {}
