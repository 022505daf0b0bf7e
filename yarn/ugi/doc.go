// Package ugi says who this process is for Hadoop, and holds its credentials (Java: UserGroupInformation).
//
// bin/roles and bin/cli make one User at start, from the environment they are given as a value, and hand it to everything that
// talks to Hadoop. A User may be used from any goroutine; its credentials change as a whole, when the YARN RM rolls a token or a new
// delegation token arrives.
//
// Today every user is SIMPLE: a name that servers believe. A Kerberos login will be one more way to make a User, beside Simple, and adds its
// principal here; callers keep passing the User. The package does no I/O but looking up the operating system's user.
package ugi
