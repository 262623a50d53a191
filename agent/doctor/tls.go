package doctor

// The handshake, and what is wrong with a certificate in plain words.

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

func (p *patient) tls(ctx context.Context) Finding {
	if p.url.Scheme != "https" {
		return Finding{Verdict: Note, Found: "not used: the URL is plain http"}
	}
	state, config, err := p.shake(ctx)
	if err != nil {
		return handshakeFailed(err)
	}
	now, set := p.Clock()
	found := problems(state.PeerCertificates, p.url.Hostname(), config.RootCAs, now, set)
	leaf := state.PeerCertificates[0]
	details := []string{
		"for " + namesOf(leaf),
		"by " + leaf.Issuer.String(),
		fmt.Sprintf("from %s to %s", leaf.NotBefore.UTC().Format(day), leaf.NotAfter.UTC().Format(day)),
		tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite),
	}
	var f Finding
	switch {
	case len(found) > 0 && config.InsecureSkipVerify && p.Settings.Bool("tls.insecure"):
		f = warning("the certificate "+found[0].text+"; option insecure takes it all the same", found[0].advice)
	case len(found) > 0:
		f = wrong("the certificate "+found[0].text, found[0].advice)
		for _, more := range found[1:] {
			details = append([]string{"it " + more.text}, details...)
		}
	case set && now.Add(soon).After(leaf.NotAfter):
		f = warning("the certificate expires on "+leaf.NotAfter.UTC().Format(day), "the operator of the ACS must renew it")
	case !set:
		f = Finding{Verdict: Note, Found: "the certificate is good but for its dates, which nobody can check before the clock is set"}
	default:
		f = ok("the certificate is good until " + leaf.NotAfter.UTC().Format(day))
	}
	f.Details = details
	return f
}

// shake makes the handshake on the open connection. Certificates are not
// verified in it, so that all that is wrong with them can be told.
func (p *patient) shake(ctx context.Context) (tls.ConnectionState, *tls.Config, error) {
	config, err := p.TLS("https")
	if err != nil {
		return tls.ConnectionState{}, nil, err
	}
	c := config.Clone()
	c.ServerName = p.url.Hostname()
	c.InsecureSkipVerify = true
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	conn := tls.Client(p.way.tcp, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, nil, err
	}
	p.way.conn = conn
	return conn.ConnectionState(), config, nil
}

// handshakeFailed says why there is no TLS at all.
func handshakeFailed(err error) Finding {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	text := err.Error()
	switch {
	case errors.As(err, &record):
		return wrong("what answers there does not speak TLS", "is it a port for plain http? Check option url")
	case errors.Is(err, context.DeadlineExceeded):
		return wrong("the handshake is not answered", "something on the way swallows large packets, or the ACS is overloaded: try a smaller MTU")
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"), strings.Contains(text, "unknown certificate"):
		return wrong("the ACS wants a certificate of ours, or another one: "+text, "set options cert and key in section tls to what the operator gave out")
	case strings.Contains(text, "protocol version"):
		return wrong("the ACS speaks no TLS that is still safe: "+text, "1.2 is the least that is spoken here; the operator must update the ACS")
	case errors.As(err, &alert), strings.Contains(text, "remote error"):
		return wrong("the ACS refuses the handshake: "+text, "this is for the operator of the ACS")
	}
	return wrong("the handshake fails: "+reason(err), "a firewall on the way may cut TLS: try from another network")
}

// A problem is one thing that is wrong with a certificate.
type problem struct{ text, advice string }

// problems lists all that is wrong with what a server showed. Without a clock
// (set is false) dates are left alone. Each is judged without the others: the
// chain at a time at which all of it is valid, if there is one.
func problems(chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time, set bool) (found []problem) {
	if len(chain) == 0 {
		return []problem{{"is missing", "what answers there shows none: this is for the operator of the ACS"}}
	}
	leaf := chain[0]
	if set {
		found = append(found, dates(chain, now)...)
	}
	if err := leaf.VerifyHostname(host); err != nil {
		text := fmt.Sprintf("is for %s, and not for %s", namesOf(leaf), host)
		if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 {
			text = fmt.Sprintf("names %s in its subject only, where nobody looks any more", leaf.Subject.CommonName)
		}
		found = append(found, problem{text, "option url must name the ACS as its certificate does; else the operator must have it issued anew"})
	}
	if text, advice := trust(chain, roots); text != "" && !(len(found) > 0 && strings.Contains(text, "at no time")) {
		found = append(found, problem{text, advice})
	}
	return found
}

// dates looks at every certificate of the chain.
func dates(chain []*x509.Certificate, now time.Time) (found []problem) {
	clock := "the clock here says " + now.UTC().Format("2006-01-02 15:04 UTC")
	for i, c := range chain {
		who := ""
		if i > 0 {
			who = "is issued by " + c.Subject.String() + ", whose own "
		}
		switch {
		case now.After(c.NotAfter):
			found = append(found, problem{who + "expired on " + c.NotAfter.UTC().Format(day) + " (" + clock + ")",
				"if the clock is right, the operator of the ACS must renew it"})
		case now.Before(c.NotBefore):
			found = append(found, problem{who + "is not valid before " + c.NotBefore.UTC().Format(day) + ", and " + clock,
				"set the clock, if that is wrong"})
		}
	}
	return found
}

// trust follows the chain to a root, at a time of its own choice.
func trust(chain []*x509.Certificate, roots *x509.CertPool) (text, advice string) {
	leaf := chain[0]
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain {
		if c.NotBefore.After(o.CurrentTime) {
			o.CurrentTime = c.NotBefore
		}
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(o)
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && invalid.Cert.NotBefore.After(o.CurrentTime) {
		o.CurrentTime = invalid.Cert.NotBefore // of the root, which is younger than the rest
		_, err = leaf.Verify(o)
	}
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "belongs to a chain that is valid as a whole at no time", "this is for the operator of the ACS"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "is not meant for a server", "the operator must have it issued anew"
	case len(chain) > 1 && !chain[1].IsCA && bytes.Equal(leaf.RawIssuer, chain[1].RawSubject):
		return "is signed by one that is no authority", "somebody may be on the way; if not, the operator must have it issued anew"
	case errors.As(err, &authority) && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil:
		return "is signed by itself", "if it is known to be the ACS's, name it in option ca of section tls; else somebody may be on the way"
	case errors.As(err, &authority):
		text = "is issued by " + leaf.Issuer.String() + ", whom we do not trust"
		if len(chain) == 1 {
			return text, "the ACS sends no intermediate certificate; if it should, that is for its operator, else name the authority in option ca of section tls"
		}
		return text, "name the authority in option ca of section tls, or install ca-bundle; else somebody may be on the way"
	}
	return "is not good: " + err.Error(), "this is for the operator of the ACS"
}

// namesOf lists a few of those whom a certificate is for.
func namesOf(c *x509.Certificate) string {
	list := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	const few = 4
	switch {
	case len(list) == 0:
		return c.Subject.String()
	case len(list) > few:
		list = append(list[:few], "…")
	}
	return strings.Join(list, ", ")
}
