// Package sigstoretest is httptest for Sigstore: an OIDC issuer, a Fulcio, a
// Rekor v1, a Rekor v2 and a timestamp authority in one process on loopback, for
// the tests of whoever signs or verifies with Sigstore.
//
// Start with [New] in a test, or [Start] in a program. Sign against the URLs
// with a [Sigstore.Token], and verify under [Sigstore.TrustedRoot]:
//
//	s := sigstoretest.New(t, sigstoretest.Options{})
//	token, err := s.Token(sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/tags/v1.0.0"}.Claims())
//
// Everything that a verifier checks is real: certificates with Fulcio's
// extensions (.1 to .24) and an embedded certificate timestamp, Merkle trees
// with signed checkpoints and inclusion proofs, signed entry timestamps, RFC 3161
// tokens. The protocols are Fulcio's v2 API, Rekor's v1 and v2 APIs and RFC 3161.
//
// What is not real: keys and trees live in memory, the certificate transparency
// log signs and keeps nothing, and the Fulcio accepts every issuer, as long as
// the token was signed by this issuer's key. Nothing here is fit for production.
package sigstoretest

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"time"
)

// TB is the part of testing.TB that New needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Options shape a Sigstore. The zero Options give one of each service, fresh
// keys and the system's clock.
type Options struct {
	// Now is the clock of every service. It is called concurrently. nil is
	// time.Now.
	Now func() time.Time

	// Seed determines every key and serial number, and makes signatures
	// deterministic: the same seed, clock and requests in the same order give
	// the same certificates, entries and tokens. nil is random.
	Seed []byte

	// RekorV1, RekorV2 and TSAs say how many of each there are. Zero is one, and
	// a negative number is none.
	RekorV1, RekorV2, TSAs int

	// DetachedTSA leaves the authority's certificate out of every token,
	// whatever the client asks for.
	DetachedTSA bool

	// NoSCT issues certificates without a certificate timestamp.
	NoSCT bool

	// ValidFor is how long a signing certificate is valid. Zero is 10 minutes.
	ValidFor time.Duration

	// Certificate may change a signing certificate before it is signed, for
	// certificates that no honest Fulcio would issue. nil changes nothing.
	Certificate func(template *x509.Certificate)

	// Wrap puts a handler around a service, for tests of faults. The services
	// are "oidc", "fulcio", "rekor", "rekor2" and "tsa". nil wraps nothing.
	Wrap func(service string, next http.Handler) http.Handler
}

// A Sigstore is a running instance. It is safe for concurrent use.
type Sigstore struct {
	opts   Options
	keys   keyring
	ca     *authority
	ct     *ctLog
	oidc   *issuer
	rekor1 []*rekorV1
	rekor2 []*rekorV2
	tsas   []*tsa

	fulcioURL string
	servers   []*httptest.Server
}

// New starts a Sigstore that stops when the test ends.
func New(tb TB, opts Options) *Sigstore {
	tb.Helper()
	s, err := Start(opts)
	if err != nil {
		tb.Fatalf("sigstoretest: %v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Start starts a Sigstore; the caller closes it.
func Start(opts Options) (s *Sigstore, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.ValidFor == 0 {
		opts.ValidFor = 10 * time.Minute
	}
	if opts.Seed == nil {
		opts.Seed = make([]byte, 32)
		if _, err := rand.Read(opts.Seed); err != nil {
			return nil, err
		}
	}
	s = &Sigstore{opts: opts, keys: keyring{opts.Seed}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	// Authorities are valid long before and after, so that tests can move the clock.
	from, until := opts.Now().AddDate(-5, 0, 0).UTC().Truncate(time.Second), opts.Now().AddDate(10, 0, 0).UTC().Truncate(time.Second)
	if s.ca, err = newAuthority(s.keys, from, until); err != nil {
		return nil, err
	}
	s.ct = newCTLog(s.keys)
	s.oidc = &issuer{key: s.keys.ecdsa256("oidc")}
	if s.oidc.url, err = s.serve("oidc", s.oidc.handler()); err != nil {
		return nil, err
	}
	if s.fulcioURL, err = s.serve("fulcio", s.fulcio()); err != nil {
		return nil, err
	}
	for i := range count(opts.RekorV1) {
		r := newRekorV1(s.keys, i, opts.Now)
		if r.url, err = s.serve("rekor", r.handler()); err != nil {
			return nil, err
		}
		s.rekor1 = append(s.rekor1, r)
	}
	for i := range count(opts.RekorV2) {
		r := newRekorV2(s.keys, i)
		if r.url, err = s.serve("rekor2", r.handler()); err != nil {
			return nil, err
		}
		s.rekor2 = append(s.rekor2, r)
	}
	for i := range count(opts.TSAs) {
		t, err := newTSA(s.keys, i, from, until, opts)
		if err != nil {
			return nil, err
		}
		if t.url, err = s.serve("tsa", t.handler()); err != nil {
			return nil, err
		}
		s.tsas = append(s.tsas, t)
	}
	return s, nil
}

func count(n int) int {
	switch {
	case n == 0:
		return 1
	case n < 0:
		return 0
	}
	return n
}

// maxRequest limits a request's body, in bytes.
const maxRequest = 32 << 20

func (s *Sigstore) serve(service string, h http.Handler) (string, error) {
	if s.opts.Wrap != nil {
		h = s.opts.Wrap(service, h)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.MaxBytesHandler(h, maxRequest), ReadHeaderTimeout: 10 * time.Second}}
	srv.Start()
	s.servers = append(s.servers, srv)
	return srv.URL, nil
}

// Close stops all services. It may be called more than once.
func (s *Sigstore) Close() {
	for _, srv := range s.servers {
		srv.CloseClientConnections()
		srv.Close()
	}
	s.servers = nil
}

// FulcioURL is the base URL of the certificate authority.
func (s *Sigstore) FulcioURL() string { return s.fulcioURL }

// IssuerURL is the base URL of the OIDC issuer.
func (s *Sigstore) IssuerURL() string { return s.oidc.url }

// RekorV1URLs are the base URLs of the Rekor v1 logs.
func (s *Sigstore) RekorV1URLs() []string {
	var out []string
	for _, r := range s.rekor1 {
		out = append(out, r.url)
	}
	return out
}

// RekorV2URLs are the base URLs of the Rekor v2 logs.
func (s *Sigstore) RekorV2URLs() []string {
	var out []string
	for _, r := range s.rekor2 {
		out = append(out, r.url)
	}
	return out
}

// TSAURLs are the URLs, with their paths, of the timestamp authorities.
func (s *Sigstore) TSAURLs() []string {
	var out []string
	for _, t := range s.tsas {
		out = append(out, t.url+tsaPath)
	}
	return out
}

// Token mints an identity token for audience "sigstore" that is valid for ten
// minutes from now. Claims that are already set (iss, aud, exp, nbf, iat) stay.
func (s *Sigstore) Token(c Claims) (string, error) {
	if len(c) == 0 {
		return "", errors.New("sigstoretest: no claims")
	}
	token, err := s.oidc.mint(c, s.opts.Now())
	if err != nil {
		return "", fmt.Errorf("sigstoretest: %w", err)
	}
	return token, nil
}
