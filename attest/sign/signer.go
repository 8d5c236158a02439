// Package sign turns a statement into a signed Sigstore bundle (v0.3), on
// sigstore-go.
//
// Start with [New] and [Signer.Sign]. A signer is keyless, with an identity
// token and a certificate that lives for minutes, or has a key. It writes to any
// number of transparency logs (Rekor v1 and v2) and timestamp authorities
// (RFC 3161), named by URL or by a signing config v0.2; all of them must answer.
//
// What was signed is verified under the caller's trust root before it is
// returned: a service that answers with something else, or with somebody
// else's, gives an error and never a bundle.
//
// Requests honour the caller's context, and are tried again after connection
// errors, 429 and 5xx, with jitter and Retry-After. Redirects are not followed.
package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
)

// A Key signs. Package attest/key has keys from files; a key in a device or a
// service implements the same two methods.
type Key interface {
	// Public is the public half: ECDSA on P-256, P-384 or P-521, Ed25519, or
	// RSA of at least 2048 bits.
	Public() crypto.PublicKey
	// Sign signs a digest made with opts.HashFunc. For Ed25519 that is 0, and
	// digest is the message.
	Sign(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// Config says who signs and where it is recorded. The zero Config is refused.
type Config struct {
	// Key signs, or Token gives an identity token for the audience "sigstore":
	// exactly one of the two. Token is asked once for every signature.
	Key   Key
	Token func(ctx context.Context) (string, error)

	// Base URLs of services. Fulcio is needed with Token and refused with Key.
	// TSA are URLs with their path. Every log and authority named must answer.
	Fulcio  string
	RekorV1 []string
	RekorV2 []string
	TSA     []string

	// SigningConfig is a signing config v0.2 in JSON, in place of the URLs. Each
	// New selects from it by Now, which is then required. Fulcio is taken from
	// it only with Token.
	SigningConfig []byte
	Now           func() time.Time

	// TrustedRoot is the trusted_root.json under which what was signed is
	// verified. It is required, except for a key without any service.
	TrustedRoot []byte

	// Transport carries the requests; nil is a clone of the standard one.
	Transport http.RoundTripper
	// Retry bounds how often and how long a request is tried; zero fields are
	// the defaults.
	Retry Retry
}

// A Signer signs statements and artifacts. It is safe for concurrent use; each
// keyless signature has a key and a certificate of its own. The zero Signer
// signs nothing.
type Signer struct {
	cfg  Config
	tm   *root.TrustedRoot // nil only for a key without services
	wait func(context.Context, time.Duration) error
}

// New checks a configuration and contacts nobody.
func New(cfg Config) (*Signer, error) {
	s := &Signer{cfg: cfg, wait: sleep}
	if (cfg.Key == nil) == (cfg.Token == nil) {
		return nil, errors.New("sign: want exactly one of Key and Token")
	}
	if len(cfg.SigningConfig) > 0 {
		if err := s.selectServices(); err != nil {
			return nil, fmt.Errorf("sign: signing config: %w", err)
		}
	}
	c := &s.cfg
	for _, u := range append(append(append([]string{}, c.RekorV1...), c.RekorV2...), c.TSA...) {
		if err := checkURL(u); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
	}
	if c.Token != nil {
		if err := checkURL(c.Fulcio); err != nil {
			return nil, fmt.Errorf("sign: Fulcio: %w", err)
		}
		if len(c.TSA) == 0 && len(c.RekorV1) == 0 {
			return nil, errors.New("sign: a certificate lives for minutes and needs a proven time: name a timestamp authority, or a Rekor v1 log; Rekor v2 gives none")
		}
	} else {
		if c.Fulcio != "" {
			return nil, errors.New("sign: Fulcio certifies identities, and this signer has a key")
		}
		if err := checkKey(c.Key.Public()); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		if _, pure := c.Key.Public().(ed25519.PublicKey); pure && len(c.RekorV2) > 0 {
			return nil, errors.New("sign: Rekor v2 takes signatures over digests, which Ed25519 keys do not make here: use an ECDSA key, or Rekor v1")
		}
	}
	if len(c.TrustedRoot) > 0 {
		tm, err := root.NewTrustedRootFromJSON(c.TrustedRoot)
		if err != nil {
			return nil, fmt.Errorf("sign: trusted root: %w", err)
		}
		s.tm = tm
	} else if c.Token != nil || len(c.RekorV1)+len(c.RekorV2)+len(c.TSA) > 0 {
		return nil, errors.New("sign: no TrustedRoot: what services answer is verified under it before it is returned")
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport // which a program may have replaced
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			t = t.Clone()
			t.MaxIdleConnsPerHost = 8
			c.Transport = t
		}
	}
	c.Retry = c.Retry.withDefaults()
	return s, nil
}

func checkKey(pub crypto.PublicKey) error {
	_, err := algorithmOf(pub)
	return err
}

// Sign makes a bundle with a DSSE envelope (v1, payload type
// application/vnd.in-toto+json) around exactly the statement's bytes. Errors of
// services are [*ServiceError].
func (s *Signer) Sign(ctx context.Context, st *attest.Statement) (*bundle.Bundle, error) {
	if st == nil || len(st.Bytes()) == 0 {
		return nil, errors.New("sign: no statement")
	}
	return s.make(ctx, &envelope{payload: st.Bytes()})
}

// SignDigest makes a bundle with a message signature over an artifact, of which
// only the digest is needed. Its algorithm must be that of the key: sha256 for
// keyless signatures, P-256 and RSA, sha384 for P-384, sha512 for P-521. Ed25519
// keys cannot sign a digest here.
func (s *Signer) SignDigest(ctx context.Context, artifact attest.Digest) (*bundle.Bundle, error) {
	return s.make(ctx, &message{digest: artifact})
}

func (s *Signer) make(ctx context.Context, c content) (*bundle.Bundle, error) {
	if s == nil || s.wait == nil {
		return nil, errors.New("sign: the zero Signer signs nothing")
	}
	// Rekor v2 refuses a signature that it has, and cannot be asked for the
	// entry: then it is signed again, which gives another signature.
	b, err := s.attempt(ctx, c)
	if errors.Is(err, errConflict) {
		b, err = s.attempt(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return b, nil
}

func (s *Signer) attempt(ctx context.Context, c content) (*bundle.Bundle, error) {
	key := s.cfg.Key
	if key == nil {
		ephemeral, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		key = local{ephemeral}
	}
	alg, err := algorithmOf(key.Public())
	if err != nil {
		return nil, err
	}
	if _, isEnvelope := c.(*envelope); isEnvelope && len(s.cfg.RekorV1) > 0 && alg.name == "ECDSA" && alg.digest != attest.SHA256 {
		return nil, errors.New("an envelope signed on P-384 or P-521 is taken by Rekor v1 only with SHA-256, which verifiers refuse: use a P-256 key, or Rekor v2")
	}
	sig, err := c.sign(ctx, key, alg)
	if err != nil {
		return nil, err
	}
	if len(sig) == 0 {
		return nil, errors.New("the key returned an empty signature")
	}
	out := &protobundle.Bundle{MediaType: bundle.MediaType, VerificationMaterial: &protobundle.VerificationMaterial{}}
	c.fill(out, sig, alg)
	verifier, err := s.identify(ctx, out.VerificationMaterial, key, alg)
	if err != nil {
		return nil, err
	}
	if err := s.timestamp(ctx, out.VerificationMaterial, sig); err != nil {
		return nil, err
	}
	if err := s.log(ctx, out, verifier); err != nil {
		return nil, err
	}
	return s.seal(out, c, key)
}

// identify puts a certificate or the key's name into the bundle, and returns
// what logs want to see: either, as PEM.
func (s *Signer) identify(ctx context.Context, m *protobundle.VerificationMaterial, key Key, alg algorithm) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	if s.cfg.Token == nil {
		sum := sha256.Sum256(der)
		m.Content = &protobundle.VerificationMaterial_PublicKey{
			PublicKey: &protocommon.PublicKeyIdentifier{Hint: base64.StdEncoding.EncodeToString(sum[:])},
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
	}
	cert, err := s.certificate(ctx, key, alg)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(cert.RawSubjectPublicKeyInfo, der) {
		return nil, &ServiceError{Service: "Fulcio", URL: s.cfg.Fulcio, Err: fmt.Errorf("%w: the certificate is for another key", errInvalid)}
	}
	m.Content = &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: cert.Raw}}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), nil
}

// seal fixes the bytes of a bundle, once and for all, and verifies them.
func (s *Signer) seal(pb *protobundle.Bundle, c content, key Key) (*bundle.Bundle, error) {
	raw, err := protojson.Marshal(pb)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer // protojson varies its white space
	if err := json.Compact(&compact, raw); err != nil {
		return nil, err
	}
	b, err := bundle.Parse(compact.Bytes())
	if err != nil {
		return nil, err
	}
	if err := s.check(b, c, key); err != nil {
		return nil, fmt.Errorf("what the services answered does not verify, so nothing is returned: %w", err)
	}
	return b, nil
}

// local is an ephemeral key.
type local struct{ *ecdsa.PrivateKey }

func (l local) Public() crypto.PublicKey { return l.PrivateKey.Public() }

func (l local) Sign(_ context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return l.PrivateKey.Sign(rand.Reader, digest, opts)
}

// envelopeOf is the DSSE envelope of one signature.
func envelopeOf(payload, sig []byte) *protodsse.Envelope {
	return &protodsse.Envelope{Payload: payload, PayloadType: attest.PayloadType, Signatures: []*protodsse.Signature{{Sig: sig}}}
}
