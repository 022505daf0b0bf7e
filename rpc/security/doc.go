// Package security is where every *tls.Config of flott is made: for the control server and dialer (transport.ServerConfig.TLS,
// transport.DialerConfig.TLS), the exchange and the REST server, from the PEM bytes that bin/roles takes from the YARN credentials: a
// certificate authority per application, made by the client, and mutual authentication.
//
// It makes none yet: all listeners are plain text until that work is done, and bin/roles passes nil.
package security
