package exchange

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"
)

// TestTLS runs a channel over mutual TLS, and refuses a peer without it.
func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"flott"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	mine := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	secure := func(c *Config) {
		c.ServerTLS = &tls.Config{Certificates: mine, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
		c.ClientTLS = &tls.Config{Certificates: mine, RootCAs: pool, ServerName: "flott"}
	}
	from, to := side(t, secure), side(t, secure)
	p := producer(t, from, 0, 1)
	send(t, p.Ports()[0], batch("secret"))
	consume(t, to, 0, at(from)).expect("secret")

	_, err = consume(t, side(t), 0, Location{from.Addr(), gen}).next()
	if err == nil {
		t.Error("a peer without TLS was served")
	}
	if _, err := New(Config{ServerTLS: &tls.Config{}}); err == nil {
		t.Error("TLS in one direction only was accepted")
	}
	nc, err := net.Dial("tcp", from.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.Close()
}
