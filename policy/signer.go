package policy

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// A signer is one entry of the policy's signers: who it is, under which trust,
// and when it counts.
type signer struct {
	name        string
	form        string
	trust       *trust
	from, until time.Time
	fields      []field // for explain, in order
	relax       []string
	githubCom   bool // a workflow of github.com, for which GitHub has a root of its own

	// Exactly one of the two is set.
	holder func(c *checklist, cert *evidence.Certificate)
	key    attest.Digest // of the SPKI

	// pem is the key itself, for the caller's verifier.
	pem string
}

// A field is one line of an expanded policy, or with nested fields several.
type field struct {
	name   string
	value  string // as YAML
	remark bool   // for the reader, as nothing like it was written
	nested []field
}

// A signerForm is one way to name a signer. decode reads its fields into s.
type signerForm struct {
	name   string
	decode func(l *loader, o *object, s *signer)
}

// signerForms is the closed list. Those without decode belong to the language
// and are not supported yet.
var signerForms = []signerForm{
	{"github", decodeGitHub},
	{"gitlab", decodeGitLab},
	{"oidc", decodeOIDC},
	{"email", decodeEmail},
	{"key", decodeKey},
	{"buildkite", nil},
	{"spiffe", nil},
	{"k8s", nil},
	{"x509", nil},
}

func (l *loader) signer(name string, n *node) *signer {
	at := "signers." + name
	o := l.object(n, at)
	s := &signer{name: name}
	before := l.counts[SeverityError]
	var given []string
	for _, f := range signerForms {
		fn := o.field(f.name)
		if fn == nil {
			continue
		}
		given = append(given, f.name)
		if f.decode == nil {
			l.errorf(fn, join(at, f.name), "not yet supported in this version")
			continue
		}
		s.form = f.name
		inner := l.object(fn, join(at, f.name))
		f.decode(l, inner, s)
		inner.done()
	}
	if len(given) != 1 {
		l.errorf(n, at, "%d of github, gitlab, oidc, email, key; want exactly one", len(given))
	}
	if trustName, ok := o.text("trust"); ok {
		if s.trust = l.policy.trust[trustName]; s.trust == nil {
			l.errorf(o.field("trust"), join(at, "trust"), "no trust called %.64q", trustName)
		}
	}
	if s.trust == nil {
		s.trust = defaultTrust(s)
	}
	if s.form != "key" && s.trust.key() {
		l.errorf(n, at, "trust %s has no root, and a certificate needs one", s.trust.name)
	}
	s.from, _ = o.date("from")
	s.until, _ = o.date("until")
	if !s.from.IsZero() && !s.until.IsZero() && !s.from.Before(s.until) {
		l.errorf(n, at, "from %s until %s is never", s.from.Format(time.RFC3339), s.until.Format(time.RFC3339))
	}
	if s.form == "key" && s.from.IsZero() && s.until.IsZero() {
		l.warn(n, at, "a key without from and until counts for ever", "until: "+l.year())
	}
	o.later("principal")
	o.done()
	if l.counts[SeverityError] > before {
		// Half a signer is not compared with others.
		s.fields, s.key = nil, attest.Digest{}
	}
	return s
}

// check compares evidence with this signer: its trust, its identity, its
// window. Every check is made.
func (s *signer) check(c *checklist, e evidence.Evidence, in *Input) {
	c.code, c.prefix = UntrustedSigner, "trust."
	s.trust.check(c, e, in)
	c.code, c.prefix = UntrustedSigner, "signer."
	who := e.Signer()
	switch {
	case s.holder != nil && who.Certificate != nil:
		s.holder(c, who.Certificate)
	case s.holder != nil:
		c.fail("form", "a certificate ("+s.form+")", describeSigner(who))
	case who.Key != nil && !s.key.IsZero():
		c.equal("key", s.key.String(), who.Key.SPKI.String())
	default:
		c.fail("form", "a key", describeSigner(who))
	}
	s.checkWindow(c, e.Times(), in.Now)
}

// checkWindow compares every verified time with from and until, and now where
// nothing was verified.
func (s *signer) checkWindow(c *checklist, times []evidence.Time, now time.Time) {
	if s.from.IsZero() && s.until.IsZero() {
		return
	}
	moments := []time.Time{now}
	if len(times) > 0 {
		moments = moments[:0]
		for _, t := range times {
			moments = append(moments, t.Time)
		}
	}
	for _, t := range moments {
		ok := (s.from.IsZero() || !t.Before(s.from)) && (s.until.IsZero() || t.Before(s.until))
		c.is(ok, "time", "from "+showTime(s.from)+" until "+showTime(s.until), showTime(t))
	}
}

func showTime(t time.Time) string {
	if t.IsZero() {
		return "ever"
	}
	return t.UTC().Format(time.RFC3339)
}

// identity is the part of a signer that makes it the same one, however often
// it signs: the key, or issuer and subject.
func identity(e evidence.Evidence) string {
	who := e.Signer()
	switch {
	case who.Key != nil:
		return "key " + who.Key.SPKI.String()
	case who.Certificate != nil:
		c := who.Certificate
		names := make([]string, len(c.SANs))
		for i, s := range c.SANs {
			names[i] = s.Value
		}
		return strings.Join(names, ", ") + " by " + issuerOf(c)
	}
	return "nobody"
}

func describeSigner(s evidence.Signer) string {
	switch {
	case s.Key != nil:
		return "key " + s.Key.SPKI.String()
	case s.Certificate != nil:
		return "a certificate"
	}
	return "nobody"
}

func issuerOf(c *evidence.Certificate) string {
	if c.Issuer != "" {
		return c.Issuer
	}
	return c.Legacy.Issuer
}

// consistent checks what every certificate form relies on: one name, and old
// extensions that say the same as the new ones.
func consistent(c *checklist, cert *evidence.Certificate) {
	agree := func(path, modern, legacy string) {
		if modern != "" && legacy != "" {
			c.is(modern == legacy, path, "old and new extensions to agree", modern+" and "+legacy)
		}
	}
	agree("issuer", cert.Issuer, cert.Legacy.Issuer)
	agree("event", cert.BuildTrigger, cert.Legacy.Trigger)
	agree("commit", cert.SourceDigest, cert.Legacy.SHA)
	agree("ref", cert.SourceRef, cert.Legacy.Ref)
	if cert.SourceRepositoryURI != "" && cert.Legacy.Repository != "" {
		_, name, _ := strings.Cut(strings.TrimPrefix(cert.SourceRepositoryURI, "https://"), "/")
		agree("repo", name, cert.Legacy.Repository)
	}
	c.is(len(cert.SANs) == 1, "name", "exactly one subject alternative name", fmt.Sprint(len(cert.SANs)))
}

// san returns the one name of a certificate if it is of this kind.
func san(cert *evidence.Certificate, kinds ...string) string {
	if len(cert.SANs) != 1 {
		return ""
	}
	for _, k := range kinds {
		if cert.SANs[0].Kind == k {
			return cert.SANs[0].Value
		}
	}
	return ""
}

// exactURL checks an issuer or server URL of a policy: https (or http on
// loopback, for tests), lower-case host, nothing that a comparison could miss.
func exactURL(s string) error {
	if strings.HasPrefix(s, "http://127.0.0.1:") {
		return nil
	}
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		return fmt.Errorf("%.128q, want an https:// URL", s)
	}
	host, _, _ := strings.Cut(rest, "/")
	name, port, hasPort := strings.Cut(host, ":")
	if why := badHost(name); why != "" {
		return fmt.Errorf("%.128q: %s", s, why)
	}
	if hasPort && (!decimal.MatchString(port) || port == "443") {
		return fmt.Errorf("%.128q: port %.8q", s, port)
	}
	if strings.ContainsAny(s, "*?#") {
		return fmt.Errorf("%.128q: want an exact URL, without wildcards, query or fragment", s)
	}
	return nil
}

func (l *loader) issuer(o *object, fallback string) string {
	issuer, ok := o.text("issuer")
	if !ok {
		if fallback == "" && o.field("issuer") == nil {
			l.errorf(o.n, o.path, "issuer is missing")
		}
		return fallback
	}
	if err := exactURL(issuer); err != nil {
		l.errorf(o.field("issuer"), join(o.path, "issuer"), "%v", err)
	}
	return issuer
}

func decodeOIDC(l *loader, o *object, s *signer) {
	issuer := l.issuer(o, "")
	subject, _ := o.required("subject")
	s.fields = []field{{name: "issuer", value: quote(issuer)}, {name: "subject", value: quote(subject)}}
	s.holder = func(c *checklist, cert *evidence.Certificate) {
		consistent(c, cert)
		c.equal("issuer", issuer, issuerOf(cert))
		c.equal("subject", subject, san(cert, "uri", "other"))
	}
}

func decodeEmail(l *loader, o *object, s *signer) {
	issuer := l.issuer(o, "")
	address, ok := o.required("address")
	if local, domain, found := strings.Cut(address, "@"); ok && (!found || local == "" || strings.ContainsAny(local, "*?[]{}\\ ") || badHost(lowerASCII(domain)) != "") {
		l.errorf(o.field("address"), join(o.path, "address"), "%.128q, want NAME@DOMAIN, exact: one signer per person", address)
	}
	s.fields = []field{{name: "address", value: quote(address)}, {name: "issuer", value: quote(issuer)}}
	s.holder = func(c *checklist, cert *evidence.Certificate) {
		consistent(c, cert)
		c.equal("issuer", issuer, issuerOf(cert))
		c.equal("address", foldDomain(address), foldDomain(san(cert, "email")))
	}
}

// foldDomain lower-cases the domain of an address, and leaves the local part.
func foldDomain(address string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return address
	}
	return address[:i] + lowerASCII(address[i:])
}

// readFile reads a file that a policy names, relative to the policy, once, at
// load.
func (l *loader) readFile(n *node, at, name string, limit int) ([]byte, bool) {
	if !fs.ValidPath(name) || name == "." || path.Clean(name) != name || strings.Contains(name, "\\") {
		l.errorf(n, at, "%.128q, want a path below the policy's folder, without ..", name)
		return nil, false
	}
	if l.files == nil {
		l.errorf(n, at, "the policy names the file %.128q, and was loaded without a folder to read it from", name)
		return nil, false
	}
	f, err := l.files.Open(name)
	if err != nil {
		l.errorf(n, at, "%v", err)
		return nil, false
	}
	defer f.Close()
	data, err := readLimited(f, limit)
	if err != nil {
		l.errorf(n, at, "file %.128q: %v", name, err)
		return nil, false
	}
	l.policy.files[name] = digestOf(data)
	return data, true
}
