package conformance_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
)

// signedAt is when everything in testdata was signed.
var signedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A fixedKey signs deterministically (RFC 6979), so that the same seed gives the
// same bundles.
type fixedKey struct{ *ecdsa.PrivateKey }

func newFixedKey(t *testing.T, name string) fixedKey {
	t.Helper()
	scalar := sha256.Sum256([]byte(name))
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return fixedKey{k}
}

func (k fixedKey) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

func (k fixedKey) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

func (k fixedKey) GetHint() []byte {
	der, _ := x509.MarshalPKIXPublicKey(k.Public()) // a P-256 key always marshals
	sum := sha256.Sum256(der)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

func (k fixedKey) GetKeyAlgorithm() string { return "ECDSA" }

func (k fixedKey) GetPublicKey() crypto.PublicKey { return k.Public() }

func (k fixedKey) GetPublicKeyPem() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

func (k fixedKey) SignData(_ context.Context, data []byte) ([]byte, []byte, error) {
	sum := sha256.Sum256(data)
	sig, err := k.Sign(nil, sum[:], crypto.SHA256)
	return sig, sum[:], err
}

// A maker makes bundles with the services of one Sigstore.
type maker struct {
	*sigstoretest.Sigstore
	t *testing.T
}

type how struct {
	key      *fixedKey // nil: keyless
	v1, v2   bool
	tsa      bool
	keyOfRun string // seeds the key of a keyless signature
	fulcio   *maker // that certifies; nil: of the same Sigstore
}

func (m maker) sign(c sgsign.Content, h how) *protobundle.Bundle {
	m.t.Helper()
	var keypair sgsign.Keypair
	opts := sgsign.BundleOptions{Context: m.t.Context()}
	if h.key != nil {
		keypair = h.key
	} else {
		keypair = newFixedKey(m.t, "run "+h.keyOfRun)
		ca := m
		if h.fulcio != nil {
			ca = *h.fulcio
		}
		token, err := ca.Token(sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/tags/v1.2.3"}.Claims())
		if err != nil {
			m.t.Fatal(err)
		}
		opts.CertificateProvider = sgsign.NewFulcio(&sgsign.FulcioOptions{BaseURL: ca.FulcioURL()})
		opts.CertificateProviderOptions = &sgsign.CertificateProviderOptions{IDToken: token}
	}
	if h.v1 {
		opts.TransparencyLogs = append(opts.TransparencyLogs, sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: m.RekorV1URLs()[0]}))
	}
	if h.v2 {
		opts.TransparencyLogs = append(opts.TransparencyLogs, sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: m.RekorV2URLs()[0], Version: 2}))
	}
	if h.tsa {
		opts.TimestampAuthorities = append(opts.TimestampAuthorities, sgsign.NewTimestampAuthority(&sgsign.TimestampAuthorityOptions{URL: m.TSAURLs()[0]}))
	}
	pb, err := sgsign.Bundle(c, keypair, opts)
	if err != nil {
		m.t.Fatal(err)
	}
	return pb
}

func encodeBundle(t *testing.T, pb *protobundle.Bundle) []byte {
	t.Helper()
	raw, err := protojson.Marshal(pb)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil { // protojson varies in white space
		t.Fatal(err)
	}
	return b.Bytes()
}

var port = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)

// generate makes every file of testdata/verify.
func generate(t *testing.T) map[string][]byte {
	t.Helper()
	ticks := 0 // of the clock of the authority that is an hour late
	start := func(seed string, change func(*sigstoretest.Options)) maker {
		opts := sigstoretest.Options{Seed: []byte(seed), Now: func() time.Time { return signedAt }}
		if change != nil {
			change(&opts)
		}
		return maker{sigstoretest.New(t, opts), t}
	}
	s := start("testdata", nil)
	noSCT := start("testdata", func(o *sigstoretest.Options) { o.NoSCT = true })
	late := start("testdata", func(o *sigstoretest.Options) {
		now := signedAt
		o.Now = func() time.Time { return now }
		o.Wrap = func(service string, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				now = signedAt
				if service == "tsa" {
					now = signedAt.Add(time.Hour)
					ticks++
				}
				next.ServeHTTP(w, r)
			})
		}
	})
	other := start("another", nil)

	const content = "the artifact\n"
	sum := sha256.Sum256([]byte(content))
	digest, err := attest.NewDigest(attest.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	st, err := attest.New([]attest.Subject{{Name: "app", Digest: attest.Set(digest)}}, attest.Raw{Type: "https://example.com/predicate/v1", JSON: []byte(`{"says":"yes"}`)})
	if err != nil {
		t.Fatal(err)
	}
	envelope := func(payload []byte, payloadType string) sgsign.Content {
		return &sgsign.DSSEData{Data: payload, PayloadType: payloadType}
	}
	statement := envelope(st.Bytes(), attest.PayloadType)
	ours, stranger := newFixedKey(t, "ours"), newFixedKey(t, "stranger")
	public := func(k fixedKey) []byte {
		text, err := k.GetPublicKeyPem()
		if err != nil {
			t.Fatal(err)
		}
		return []byte(text)
	}

	// Each in the order in which it is signed, since logs number their entries.
	v1 := s.sign(statement, how{v1: true, keyOfRun: "a"})
	v2 := s.sign(statement, how{v2: true, tsa: true, keyOfRun: "b"})
	message := s.sign(&sgsign.PlainData{Data: []byte(content)}, how{v1: true, v2: true, tsa: true, keyOfRun: "c"})
	keyLogged := s.sign(statement, how{key: &ours, v1: true})
	keyAlone := s.sign(statement, how{key: &ours})
	json := s.sign(envelope(st.Bytes(), "application/json"), how{v2: true, tsa: true, keyOfRun: "d"})
	notStatement := s.sign(envelope([]byte(`{"says":"yes"}`), attest.PayloadType), how{v2: true, tsa: true, keyOfRun: "e"})
	noTime := s.sign(statement, how{v2: true, tsa: true, keyOfRun: "f"})
	secret := noSCT.sign(statement, how{v2: true, tsa: true, keyOfRun: "g"})
	expired := late.sign(statement, how{v2: true, tsa: true, keyOfRun: "h"})
	foreign := s.sign(statement, how{v2: true, tsa: true, keyOfRun: "i", fulcio: &other})
	if ticks != 1 {
		t.Fatalf("%d timestamps by the late authority, want one", ticks)
	}

	change := func(pb *protobundle.Bundle, f func(*protobundle.Bundle)) *protobundle.Bundle {
		out := proto.Clone(pb).(*protobundle.Bundle)
		f(out)
		return out
	}
	stamps := func(pb *protobundle.Bundle) *protobundle.TimestampVerificationData {
		return pb.VerificationMaterial.TimestampVerificationData
	}
	zeros := "sha256:" + strings.Repeat("0", 64)

	out := map[string][]byte{
		"root.json":       port.ReplaceAll(s.TrustedRoot(), []byte("127.0.0.1")),
		"other-root.json": port.ReplaceAll(other.TrustedRoot(), []byte("127.0.0.1")),
	}
	add := func(name string, pb *protobundle.Bundle, v vector) {
		v.bundle = encodeBundle(t, pb)
		if v.artifact == "" {
			v.artifact = digest.String()
		}
		if v.root == "" && v.publicKey == nil {
			v.root = "root.json"
		}
		out[name+".txt"] = v.format()
	}
	add("good-rekor-v1", v1, vector{about: "Keyless, a Rekor v1 entry with its promise.", expect: "evidence"})
	add("good-rekor-v2", v2, vector{about: "Keyless, a Rekor v2 entry and a timestamp.", expect: "evidence"})
	add("good-message", message, vector{about: "A signature over the artifact itself, in two logs.", expect: "evidence"})
	add("good-key", keyLogged, vector{about: "A key, logged in Rekor v1.", expect: "evidence", root: "root.json", publicKey: public(ours)})
	add("good-key-alone", keyAlone, vector{about: "A key, trusted without any log.", expect: "evidence", publicKey: public(ours)})

	add("misused", v1, vector{about: "A verifier that was not made trusts nobody.", expect: "misused", root: "none"})
	add("no-artifact", v1, vector{about: "Without a digest of the artifact nothing is bound to it.", expect: "no-artifact", artifact: "none"})
	add("digest-needed", v1, vector{about: "The statement has a sha256 digest only, and the artifact is given as its sha512.", expect: "digest-needed", artifact: "sha512:" + strings.Repeat("0", 128)})
	add("subject-mismatch", v1, vector{about: "Good evidence about another artifact.", expect: "subject-mismatch", artifact: zeros})
	add("subject-mismatch-message", message, vector{about: "A good signature over another artifact.", expect: "subject-mismatch", artifact: zeros})
	add("payload-type", json, vector{about: "A signed envelope of another payload type.", expect: "payload-type"})
	add("malformed-statement", notStatement, vector{about: "A signed payload that is no statement.", expect: "malformed"})
	add("malformed-bundle", change(v1, func(pb *protobundle.Bundle) { pb.VerificationMaterial.Content = nil }),
		vector{about: "A bundle without certificate and key.", expect: "malformed"})
	add("bad-signature", change(v1, func(pb *protobundle.Bundle) { pb.GetDsseEnvelope().Payload[20] ^= 1 }),
		vector{about: "One bit of the payload changed.", expect: "bad-signature"})
	add("bad-signature-swapped", change(v1, func(pb *protobundle.Bundle) {
		pb.VerificationMaterial.Content = v2.VerificationMaterial.Content
	}), vector{about: "The certificate of another run of the same workflow.", expect: "bad-signature"})
	add("not-logged", change(v2, func(pb *protobundle.Bundle) { pb.VerificationMaterial.TlogEntries = nil }),
		vector{about: "The log entries left out.", expect: "not-logged"})
	add("log-invalid-entry", change(v2, func(pb *protobundle.Bundle) {
		pb.VerificationMaterial.TlogEntries = noTime.VerificationMaterial.TlogEntries
	}), vector{about: "A good entry of another signature over the same statement.", expect: "log-invalid"})
	add("log-invalid-promise", change(v1, func(pb *protobundle.Bundle) { pb.VerificationMaterial.TlogEntries[0].IntegratedTime++ }),
		vector{about: "A second added to the time that a promise covers.", expect: "log-invalid"})
	add("log-invalid-proof", change(message, func(pb *protobundle.Bundle) {
		p := pb.VerificationMaterial.TlogEntries[1].InclusionProof
		p.RootHash[0] ^= 1
	}), vector{about: "An inclusion proof for another tree.", expect: "log-invalid"})
	add("no-trusted-time", change(noTime, func(pb *protobundle.Bundle) { pb.VerificationMaterial.TimestampVerificationData = nil }),
		vector{about: "A Rekor v2 entry gives no time, and the timestamp is left out.", expect: "no-trusted-time"})
	add("no-trusted-time-claimed", change(noTime, func(pb *protobundle.Bundle) {
		pb.VerificationMaterial.TimestampVerificationData = nil
		pb.VerificationMaterial.TlogEntries[0].IntegratedTime = signedAt.Unix()
	}), vector{about: "The same, with an integrated time that nobody signed.", expect: "no-trusted-time"})
	add("timestamp-invalid", change(noTime, func(pb *protobundle.Bundle) {
		pb.VerificationMaterial.TimestampVerificationData = stamps(v2)
	}), vector{about: "A good timestamp of another signature.", expect: "timestamp-invalid"})
	add("certificate-expired", expired, vector{about: "Signed an hour after the certificate was issued.", expect: "certificate-expired"})
	add("certificate-untrusted", foreign, vector{about: "A certificate by another authority of the same name.", expect: "certificate-untrusted"})
	add("not-logged-elsewhere", foreign, vector{about: "Logged in a log that the root does not know.", expect: "not-logged", root: "other-root.json"})
	add("sct-invalid", secret, vector{about: "A certificate that no log vouches for.", expect: "sct-invalid"})
	add("key-unknown", keyLogged, vector{about: "Signed with a key where certificates alone are trusted.", expect: "key-unknown"})
	add("key-stranger", keyLogged, vector{about: "Signed with another key than the trusted one.", expect: "bad-signature", root: "root.json", publicKey: public(stranger)})
	add("key-expired", keyLogged, vector{about: "Logged after the key's end.", expect: "key-expired", root: "root.json", publicKey: public(ours), keyUntil: "2026-01-01T00:00:00Z"})
	add("key-no-time", keyAlone, vector{about: "A key of limited validity, and nothing proves when it signed.", expect: "no-trusted-time", publicKey: public(ours), keyUntil: "2027-01-01T00:00:00Z"})
	return out
}
