package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"fmt"
	"time"
)

// Fault is a way in which a server's certificate, or its TLS, is wrong. A CPE
// must refuse each (TR-069 3.3).
type Fault string

// The faults.
const (
	WrongName  Fault = "wrong-name"  // for another host
	CommonName Fault = "common-name" // the host in the subject only, no subject alternative name
	Expired    Fault = "expired"     // since yesterday
	NotYet     Fault = "not-yet"     // good from tomorrow on
	Untrusted  Fault = "untrusted"   // by an authority of the same name that nobody knows
	SelfSigned Fault = "self-signed" // by itself
	WrongUse   Fault = "wrong-use"   // extended key usage is clientAuth
	NotACA     Fault = "not-a-ca"    // signed with the certificate of another server
	TLS11      Fault = "tls-1.1"     // a good certificate, but TLS 1.1
)

// Faults are all of them.
func Faults() []Fault {
	return []Fault{WrongName, CommonName, Expired, NotYet, Untrusted, SelfSigned, WrongUse, NotACA, TLS11}
}

// Config is how a server for names speaks TLS: as it should when f is "", else
// wrong in that way.
func (c *CA) Config(f Fault, names ...string) (*tls.Config, error) {
	cert, err := c.faulty(f, names)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	if f == TLS11 {
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}
	return config, nil
}

func (c *CA) faulty(f Fault, names []string) (tls.Certificate, error) {
	now, day := time.Now(), 24*time.Hour
	leaf := Leaf{Names: names}
	switch f {
	case "", TLS11:
	case WrongName:
		leaf.Names = []string{"somewhere.else.invalid"}
	case CommonName:
		leaf = Leaf{CommonName: names[0]}
	case Expired:
		leaf.NotBefore, leaf.NotAfter = now.Add(-30*day), now.Add(-day)
	case NotYet:
		leaf.NotBefore, leaf.NotAfter = now.Add(day), now.Add(30*day)
	case WrongUse:
		leaf.Client = true
	case Untrusted:
		other, err := New(c.Cert.Subject.CommonName)
		if err != nil {
			return tls.Certificate{}, err
		}
		return other.Issue(leaf)
	case SelfSigned:
		return leaf.signedBy(nil)
	case NotACA:
		server, err := c.Issue(Leaf{Names: []string{"honest.example"}})
		if err != nil {
			return tls.Certificate{}, err
		}
		key, _ := server.PrivateKey.(*ecdsa.PrivateKey) // Issue makes no other
		thief := &CA{Cert: server.Leaf, der: server.Certificate[0], key: key, above: server.Certificate[1:]}
		return thief.Issue(leaf)
	default:
		return tls.Certificate{}, fmt.Errorf("there is no fault %q", f)
	}
	return c.Issue(leaf)
}
