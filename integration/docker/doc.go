// Command docker shows flott on Hadoop in containers: NameNode, DataNode, ResourceManager, three NodeManagers, each with a host name and an
// address of its own, and a client in which the flott command runs. compose.yaml describes them. It runs WordCount over Go's sources there,
// prints the commonest words, how YARN saw the application and where the time went, and takes everything down.
//
// It is called by `make demo-docker`, with the module's root as working directory; all runs on the main goroutine, except what it does while
// images and binaries are made.
//
// It finds what it needs, and says what it takes:
//   - A docker daemon that answers; else, as root on Debian or Ubuntu, it starts one of its own for the time of the run, without touching
//     the machine's packet filter or routes (daemon.go).
//   - The image that HADOOP_IMAGE names; else apache/hadoop when it is there or can be pulled; else one that it builds from Debian packages
//     and the jars of Maven Central (image.go, rootfs.go, image/, starter/).
//   - `docker compose`; else docker-compose 1.27 or later; else plain docker (runner.go, composefile.go, plain.go).
//
// What always holds: containers and networks carry the label of this checkout's project, and only such are removed; the result is compared
// with a count of its own; whatever ends it, Ctrl-C too, no container, network or daemon of it is left. What stays is images, a root file
// system and jars in the user's cache directory, and logs in .hadoop/docker. The daemon must be on this machine: the demo asks Hadoop's web
// addresses on 127.0.0.1.
package main
