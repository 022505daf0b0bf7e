// Package rest is the AM's HTTP server: Flink's REST interface, version 1, in the shapes of rpc/restapi, and a web page for people.
//
// It owns the port that YARN knows (tracking URL and rpc port). bin/roles starts it once per process; the components that it shows belong
// to a term of leadership and come through Config.Leader at each request: while nobody leads, everything that needs them is answered with
// 503 and the words that Flink's clients know as retryable. Handlers run on the server's goroutines; they read published snapshots, or
// wait for a loop no longer than Config.RequestTimeout. Close ends all requests and waits.
//
// What always holds: every route is served at /x and at /v1/x; a failed request is answered with {"errors":[…]}; a known path with
// another method is unknown (404), as Flink's recorded answers show; what comes from another origin is refused, and a browser cancels a
// job only through the page's own button, whose token other origins cannot read; names of files are looked up in a listing or under
// os.Root, never joined to a path; a request's body is thrown away; URLs in the page are relative, because YARN's proxy serves it
// below /proxy/<application>/, and everything on it is escaped.
//
// What it does not do: it runs no code, accepts no upload, stores nothing and knows no user. With Kerberos this port will be the read-only
// view, with a listener beside it that authenticates (Config.ReadOnly).
package rest
