package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/attest/sign"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/verify"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

const artifact = "the artifact"

func digests(t testing.TB, content string, algs ...string) attest.DigestSet {
	t.Helper()
	if algs == nil {
		algs = []string{attest.SHA256}
	}
	set := make(attest.DigestSet)
	for _, alg := range algs {
		sum, ok := map[string]func() string{
			attest.SHA256: func() string { s := sha256.Sum256([]byte(content)); return fmt.Sprintf("%x", s) },
			attest.SHA512: func() string { return sha512Hex(content) },
		}[alg]
		if !ok {
			t.Fatalf("algorithm %s", alg)
		}
		set[alg] = sum()
	}
	return set
}

func statementAbout(t testing.TB, subjects ...attest.Subject) *attest.Statement {
	t.Helper()
	st, err := attest.New(subjects, attest.Raw{Type: "https://example.com/p", JSON: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func about(t testing.TB, content string) *attest.Statement {
	return statementAbout(t, attest.Subject{Name: "app", Digest: digests(t, content)})
}

// raw signs anything with sigstore-go, which checks nothing of it here.
type raw struct {
	s          *sigstoretest.Sigstore
	claims     sigstoretest.Claims // nil signs with a new key
	v1, v2     bool
	tsa        bool
	fulcioFrom *sigstoretest.Sigstore
	tsaFrom    *sigstoretest.Sigstore
}

func (r raw) sign(t testing.TB, content sgsign.Content) *bundle.Bundle {
	t.Helper()
	kp, err := sgsign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := sgsign.BundleOptions{Context: t.Context()}
	if r.claims != nil {
		fulcio := r.s
		if r.fulcioFrom != nil {
			fulcio = r.fulcioFrom
		}
		token, err := fulcio.Token(r.claims)
		if err != nil {
			t.Fatal(err)
		}
		opts.CertificateProvider = sgsign.NewFulcio(&sgsign.FulcioOptions{BaseURL: fulcio.FulcioURL()})
		opts.CertificateProviderOptions = &sgsign.CertificateProviderOptions{IDToken: token}
	}
	if r.v1 {
		opts.TransparencyLogs = append(opts.TransparencyLogs, sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: r.s.RekorV1URLs()[0]}))
	}
	if r.v2 {
		opts.TransparencyLogs = append(opts.TransparencyLogs, sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: r.s.RekorV2URLs()[0], Version: 2}))
	}
	if r.tsa {
		from := r.s
		if r.tsaFrom != nil {
			from = r.tsaFrom
		}
		opts.TimestampAuthorities = append(opts.TimestampAuthorities, sgsign.NewTimestampAuthority(&sgsign.TimestampAuthorityOptions{URL: from.TSAURLs()[0]}))
	}
	pb, err := sgsign.Bundle(content, kp, opts)
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, pb)
}

func encode(t testing.TB, pb *protobundle.Bundle) *bundle.Bundle {
	t.Helper()
	data, err := protojson.Marshal(pb)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, b *bundle.Bundle) *protobundle.Bundle {
	t.Helper()
	pb := new(protobundle.Bundle)
	if err := protojson.Unmarshal(b.Bytes(), pb); err != nil {
		t.Fatal(err)
	}
	return pb
}

// change returns the bundle with something else in it.
func change(t testing.TB, b *bundle.Bundle, f func(*protobundle.Bundle)) *bundle.Bundle {
	t.Helper()
	pb := decode(t, b)
	f(pb)
	return encode(t, pb)
}

func dsse(st *attest.Statement) sgsign.Content {
	return &sgsign.DSSEData{Data: st.Bytes(), PayloadType: attest.PayloadType}
}

func parseRoot(t testing.TB, data []byte) *verify.TrustRoot {
	t.Helper()
	r, err := verify.ParseTrustRoot("test", data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newVerifier(t testing.TB, r *verify.TrustRoot, cfg verify.Config) *verify.Verifier {
	t.Helper()
	v, err := verify.New(r, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rootWithout returns a trusted root whose JSON was changed.
func changeRoot(t testing.TB, data []byte, f func(map[string]any)) *verify.TrustRoot {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	f(m)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return parseRoot(t, out)
}

func wantReason(t *testing.T, ev evidence.Evidence, err error, want verify.Reason) {
	t.Helper()
	var e *verify.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want reason %s", err, want)
	}
	if e.Reason != want {
		t.Errorf("reason %s (%v), want %s", e.Reason, err, want)
	}
	if !ev.IsZero() {
		t.Error("evidence came with an error")
	}
	if e.Detail == "" || !strings.HasPrefix(err.Error(), "verify: "+string(want)+": ") {
		t.Errorf("the error says too little: %v", err)
	}
}

var claims = sigstoretest.GitHub{Repo: "acme/app"}.Claims()

func TestVerifyOneThingWrong(t *testing.T) {
	s, other := sigstoretest.New(t, sigstoretest.Options{}), sigstoretest.New(t, sigstoretest.Options{})
	noSCT := sigstoretest.New(t, sigstoretest.Options{NoSCT: true})
	good := raw{s: s, claims: claims, v1: true, v2: true, tsa: true}
	b := good.sign(t, dsse(about(t, artifact)))
	second := good.sign(t, dsse(about(t, artifact)))
	v1only := raw{s: s, claims: claims, v1: true}.sign(t, dsse(about(t, artifact)))
	v2only := raw{s: s, claims: claims, v2: true, tsa: true}.sign(t, dsse(about(t, artifact)))
	message := good.sign(t, &sgsign.PlainData{Data: []byte(artifact)})
	root := parseRoot(t, s.TrustedRoot())
	strict := newVerifier(t, root, verify.Config{})
	sha256Set := digests(t, artifact)

	ca := sigstoretest.New(t, sigstoretest.Options{Certificate: func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1
	}})
	notDER := sigstoretest.New(t, sigstoretest.Options{Certificate: func(c *x509.Certificate) {
		for i, e := range c.ExtraExtensions {
			if e.Id.String() == "1.3.6.1.4.1.57264.1.12" {
				c.ExtraExtensions[i].Value = []byte("https://github.com/evil/app") // not DER
			}
		}
	}})
	var offset atomic.Int64
	late := sigstoretest.New(t, sigstoretest.Options{
		Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
		Wrap: func(service string, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				offset.Store(0)
				if service == "tsa" {
					offset.Store(int64(time.Hour))
				}
				next.ServeHTTP(w, r)
			})
		}})

	sign := func(from *sigstoretest.Sigstore) (*verify.Verifier, *bundle.Bundle) {
		return newVerifier(t, parseRoot(t, from.TrustedRoot()), verify.Config{}),
			raw{s: from, claims: claims, v2: true, tsa: true}.sign(t, dsse(about(t, artifact)))
	}
	flip := func(p []byte) { p[len(p)/2] ^= 1 }

	type testCase struct {
		v    *verify.Verifier
		b    *bundle.Bundle
		set  attest.DigestSet
		want verify.Reason
	}
	cases := map[string]func() testCase{
		"zero verifier": func() testCase { return testCase{new(verify.Verifier), b, sha256Set, verify.Misused} },
		"nil verifier":  func() testCase { return testCase{nil, b, sha256Set, verify.Misused} },
		"nil bundle":    func() testCase { return testCase{strict, nil, sha256Set, verify.Malformed} },
		"zero bundle":   func() testCase { return testCase{strict, new(bundle.Bundle), sha256Set, verify.Malformed} },
		"no digest":     func() testCase { return testCase{strict, b, nil, verify.NoArtifact} },
		"weak digest": func() testCase {
			return testCase{strict, b, attest.DigestSet{"md5": "d41d8cd98f00b204e9800998ecf8427e"}, verify.NoArtifact}
		},
		"upper-case digest": func() testCase {
			return testCase{strict, b, attest.DigestSet{"sha256": strings.ToUpper(sha256Set["sha256"])}, verify.NoArtifact}
		},
		"truncated digest": func() testCase {
			return testCase{strict, b, attest.DigestSet{"sha256": sha256Set["sha256"][:32]}, verify.NoArtifact}
		},

		"another algorithm": func() testCase { return testCase{strict, b, digests(t, artifact, attest.SHA512), verify.DigestNeeded} },
		"another algorithm, message": func() testCase {
			return testCase{strict, message, digests(t, artifact, attest.SHA512), verify.DigestNeeded}
		},
		"another artifact":          func() testCase { return testCase{strict, b, digests(t, "other"), verify.SubjectMismatch} },
		"another artifact, message": func() testCase { return testCase{strict, message, digests(t, "other"), verify.SubjectMismatch} },
		"same sha256, and statement says otherwise of sha512": func() testCase {
			st := statementAbout(t, attest.Subject{Name: "a", Digest: attest.DigestSet{"sha256": sha256Set["sha256"], "sha512": sha512Hex("other")}})
			return testCase{strict, good.sign(t, dsse(st)), digests(t, artifact, attest.SHA256, attest.SHA512), verify.SubjectMismatch}
		},
		"one subject is equal, another a lie about it": func() testCase {
			st := statementAbout(t, attest.Subject{Name: "a", Digest: digests(t, artifact)},
				attest.Subject{Name: "b", Digest: attest.DigestSet{"sha256": sha256Set["sha256"], "sha512": sha512Hex("other")}})
			return testCase{strict, good.sign(t, dsse(st)), digests(t, artifact, attest.SHA256, attest.SHA512), verify.SubjectMismatch}
		},
		"only a weak digest": func() testCase {
			st := statementAbout(t, attest.Subject{Name: "a", Digest: attest.DigestSet{"sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}})
			return testCase{strict, good.sign(t, dsse(st)), sha256Set, verify.SubjectMismatch}
		},

		"another payload type": func() testCase {
			return testCase{strict, good.sign(t, &sgsign.DSSEData{Data: about(t, artifact).Bytes(), PayloadType: "application/json"}), sha256Set, verify.PayloadType}
		},
		"payload that is no statement": func() testCase {
			return testCase{strict, good.sign(t, &sgsign.DSSEData{Data: []byte(`{"_type":"x"}`), PayloadType: attest.PayloadType}), sha256Set, verify.Malformed}
		},
		"payload with a duplicate name": func() testCase {
			data := bytes.Replace(about(t, artifact).Bytes(), []byte(`"predicate":`), []byte(`"predicate":{},"predicate":`), 1)
			return testCase{strict, good.sign(t, &sgsign.DSSEData{Data: data, PayloadType: attest.PayloadType}), sha256Set, verify.Malformed}
		},

		"payload changed": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) { flip(pb.GetDsseEnvelope().Payload) }), sha256Set, verify.BadSignature}
		},
		"payload type changed": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) { pb.GetDsseEnvelope().PayloadType += "x" }), sha256Set, verify.BadSignature}
		},
		"signature changed": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) { flip(pb.GetDsseEnvelope().Signatures[0].Sig) }), sha256Set, verify.BadSignature}
		},
		"message digest changed": func() testCase {
			return testCase{strict, change(t, message, func(pb *protobundle.Bundle) { flip(pb.GetMessageSignature().MessageDigest.Digest) }), sha256Set, verify.BadSignature}
		},
		"somebody else's certificate": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.Content = decode(t, second).VerificationMaterial.Content
			}), sha256Set, verify.BadSignature}
		},

		"log entries left out": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) { pb.VerificationMaterial.TlogEntries = nil }), sha256Set, verify.NotLogged}
		},
		"logged elsewhere": func() testCase {
			elsewhere := decode(t, raw{s: other, claims: claims, v1: true, v2: true, tsa: true}.sign(t, dsse(about(t, artifact))))
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.TlogEntries = elsewhere.VerificationMaterial.TlogEntries
			}), sha256Set, verify.NotLogged}
		},
		"entry of another signature, v1": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.TlogEntries[0] = decode(t, second).VerificationMaterial.TlogEntries[0]
			}), sha256Set, verify.LogInvalid}
		},
		"entry of another signature, v2": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.TlogEntries[1] = decode(t, second).VerificationMaterial.TlogEntries[1]
			}), sha256Set, verify.LogInvalid}
		},
		"entry twice": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) {
				m := pb.VerificationMaterial
				m.TlogEntries = append(m.TlogEntries, proto.CloneOf(m.TlogEntries[0]))
			}), sha256Set, verify.LogInvalid}
		},
		"promise changed": func() testCase {
			return testCase{strict, change(t, v1only, func(pb *protobundle.Bundle) {
				flip(pb.VerificationMaterial.TlogEntries[0].InclusionPromise.SignedEntryTimestamp)
			}), sha256Set, verify.LogInvalid}
		},
		"integrated time changed": func() testCase {
			return testCase{strict, change(t, v1only, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.TlogEntries[0].IntegratedTime++
			}), sha256Set, verify.LogInvalid}
		},
		"checkpoint changed": func() testCase {
			return testCase{strict, change(t, v2only, func(pb *protobundle.Bundle) {
				c := pb.VerificationMaterial.TlogEntries[0].InclusionProof.Checkpoint
				c.Envelope = strings.Replace(c.Envelope, "\n", "x\n", 1)
			}), sha256Set, verify.LogInvalid}
		},
		"tree size changed": func() testCase {
			return testCase{strict, change(t, v2only, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.TlogEntries[0].InclusionProof.TreeSize++
			}), sha256Set, verify.LogInvalid}
		},
		"canonical body changed": func() testCase {
			return testCase{strict, change(t, v2only, func(pb *protobundle.Bundle) {
				flip(pb.VerificationMaterial.TlogEntries[0].CanonicalizedBody)
			}), sha256Set, verify.LogInvalid}
		},
		"v2 entry under a v1 checkpoint": func() testCase {
			return testCase{strict, change(t, b, func(pb *protobundle.Bundle) {
				e := pb.VerificationMaterial.TlogEntries
				e[1].InclusionProof.Checkpoint = proto.CloneOf(e[0].InclusionProof.Checkpoint)
			}), sha256Set, verify.LogInvalid}
		},
		"log key not yet valid": func() testCase {
			r := changeRoot(t, s.TrustedRoot(), func(m map[string]any) {
				for _, l := range m["tlogs"].([]any) {
					l.(map[string]any)["publicKey"].(map[string]any)["validFor"] = map[string]any{"start": "2099-01-01T00:00:00Z"}
				}
			})
			return testCase{newVerifier(t, r, verify.Config{}), v2only, sha256Set, verify.LogInvalid}
		},
		"log key no longer valid": func() testCase {
			r := changeRoot(t, s.TrustedRoot(), func(m map[string]any) {
				for _, l := range m["tlogs"].([]any) {
					l.(map[string]any)["publicKey"].(map[string]any)["validFor"] = map[string]any{"start": "2019-01-01T00:00:00Z", "end": "2020-01-01T00:00:00Z"}
				}
			})
			return testCase{newVerifier(t, r, verify.Config{}), v2only, sha256Set, verify.LogInvalid}
		},

		"Rekor v2 gives no time": func() testCase {
			return testCase{strict, raw{s: s, claims: claims, v2: true}.sign(t, dsse(about(t, artifact))), sha256Set, verify.NoTrustedTime}
		},
		"a proof without a promise gives no time": func() testCase {
			return testCase{strict, change(t, v1only, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.TlogEntries[0].InclusionPromise = nil
			}), sha256Set, verify.NoTrustedTime}
		},
		"timestamp of another signature": func() testCase {
			return testCase{strict, change(t, v2only, func(pb *protobundle.Bundle) {
				pb.VerificationMaterial.TimestampVerificationData = decode(t, second).VerificationMaterial.TimestampVerificationData
			}), sha256Set, verify.TimestampInvalid}
		},
		"timestamp by another authority": func() testCase {
			return testCase{strict, raw{s: s, claims: claims, v2: true, tsa: true, tsaFrom: other}.sign(t, dsse(about(t, artifact))), sha256Set, verify.TimestampInvalid}
		},
		"certificate by another authority": func() testCase {
			return testCase{strict, raw{s: s, claims: claims, v2: true, tsa: true, fulcioFrom: other}.sign(t, dsse(about(t, artifact))), sha256Set, verify.CertificateUntrusted}
		},
		"certificate of an authority": func() testCase {
			v, b := sign(ca)
			return testCase{v, b, sha256Set, verify.CertificateUntrusted}
		},
		"an extension that is not DER": func() testCase {
			v, b := sign(notDER)
			return testCase{v, b, sha256Set, verify.Malformed}
		},
		"signed after the certificate ended": func() testCase {
			v, b := sign(late)
			return testCase{v, b, sha256Set, verify.CertificateExpired}
		},
		"no certificate timestamp": func() testCase {
			v, b := sign(noSCT)
			return testCase{v, b, sha256Set, verify.SCTInvalid}
		},
		"a key under a root without keys": func() testCase {
			return testCase{strict, raw{s: s, v2: true}.sign(t, dsse(about(t, artifact))), sha256Set, verify.KeyUnknown}
		},
		"a key that is none of those trusted": func() testCase {
			r, err := root.WithKeys(verify.Key{Public: newKey(t).Public()}, verify.Key{Public: newKey(t).Public()})
			if err != nil {
				t.Fatal(err)
			}
			return testCase{newVerifier(t, r, verify.Config{}), raw{s: s, v2: true}.sign(t, dsse(about(t, artifact))), sha256Set, verify.KeyUnknown}
		},
	}
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			c := make()
			ev, err := c.v.Verify(c.b, c.set)
			wantReason(t, ev, err, c.want)
		})
	}
	// The bundles that were changed are good without the change.
	for name, b := range map[string]*bundle.Bundle{"all": b, "second": second, "v1": v1only, "v2": v2only, "message": message} {
		if _, err := strict.Verify(b, sha256Set); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func newKey(t testing.TB) *key.Private {
	t.Helper()
	k, err := key.Generate(key.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signWithKey(t testing.TB, cfg sign.Config, st *attest.Statement) *bundle.Bundle {
	t.Helper()
	signer, err := sign.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := signer.Sign(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeys(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	k, now := newKey(t), time.Now()
	set := digests(t, artifact)
	alone := signWithKey(t, sign.Config{Key: k}, about(t, artifact))
	stamped := signWithKey(t, sign.Config{Key: k, TSA: s.TSAURLs(), RekorV2: s.RekorV2URLs(), TrustedRoot: s.TrustedRoot()}, about(t, artifact))
	mine := verify.Key{Public: k.Public()}
	between := verify.Key{Public: k.Public(), From: now.Add(-time.Hour), Until: now.Add(time.Hour)}
	before := verify.Key{Public: k.Public(), Until: now.Add(-time.Hour)}
	after := verify.Key{Public: k.Public(), From: now.Add(time.Hour)}
	other := verify.Key{Public: newKey(t).Public()}
	unhinted := change(t, alone, func(pb *protobundle.Bundle) {
		pb.VerificationMaterial.Content.(*protobundle.VerificationMaterial_PublicKey).PublicKey.Hint = ""
	})
	misleading := change(t, alone, func(pb *protobundle.Bundle) {
		pub, err := key.NewPublic(other.Public)
		if err != nil {
			t.Fatal(err)
		}
		pb.VerificationMaterial.Content.(*protobundle.VerificationMaterial_PublicKey).PublicKey.Hint = pub.Hint()
	})

	for name, c := range map[string]struct {
		keys   []verify.Key
		logged bool // under the root with logs and authorities
		b      *bundle.Bundle
		want   verify.Reason // empty: accepted
	}{
		"the key":                                  {[]verify.Key{mine}, false, alone, ""},
		"one of two":                               {[]verify.Key{other, mine}, false, alone, ""},
		"without a hint, one of two":               {[]verify.Key{other, mine}, false, unhinted, ""},
		"a hint selects: the other key is tried":   {[]verify.Key{other, mine}, false, misleading, verify.BadSignature},
		"a hint of no key":                         {[]verify.Key{mine}, false, misleading, ""},
		"another key":                              {[]verify.Key{other}, false, alone, verify.BadSignature},
		"limited, and nothing gives the time":      {[]verify.Key{between}, false, alone, verify.NoTrustedTime},
		"limited, and the time is in it":           {[]verify.Key{between}, true, stamped, ""},
		"valid until before":                       {[]verify.Key{before}, true, stamped, verify.KeyExpired},
		"valid from later":                         {[]verify.Key{after}, true, stamped, verify.KeyExpired},
		"two windows, one fits":                    {[]verify.Key{before, between}, true, stamped, ""},
		"under a root with logs, and not logged":   {[]verify.Key{mine}, true, alone, verify.NotLogged},
		"not logged, and another key is known too": {[]verify.Key{other, mine}, true, unhinted, verify.NotLogged},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := verify.KeyRoot("test", c.keys...)
			if c.logged {
				r, err = parseRoot(t, s.TrustedRoot()).WithKeys(c.keys...)
			}
			if err != nil {
				t.Fatal(err)
			}
			ev, err := newVerifier(t, r, verify.Config{}).Verify(c.b, set)
			if c.want != "" {
				wantReason(t, ev, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := ev.Signer(); got.Certificate != nil || got.Key == nil || got.Key.SPKI != k.PublicKey().Fingerprint() {
				t.Errorf("signer %+v", got)
			}
		})
	}
}

// A key whose validity ends at a moment does not count from that moment on.
func TestKeyWindowIsHalfOpen(t *testing.T) {
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	s := sigstoretest.New(t, sigstoretest.Options{Now: func() time.Time { return at }})
	k := newKey(t)
	b := raw{s: s}.signKey(t, k, dsse(about(t, artifact)))
	for name, c := range map[string]struct {
		key  verify.Key
		want verify.Reason
	}{
		"from that moment":  {verify.Key{From: at}, ""},
		"from later":        {verify.Key{From: at.Add(time.Second)}, verify.KeyExpired},
		"until that moment": {verify.Key{Until: at}, verify.KeyExpired},
		"until later":       {verify.Key{Until: at.Add(time.Second)}, ""},
	} {
		c.key.Public = k.Public()
		r, err := parseRoot(t, s.TrustedRoot()).WithKeys(c.key)
		if err != nil {
			t.Fatal(err)
		}
		ev, err := newVerifier(t, r, verify.Config{}).Verify(b, digests(t, artifact))
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.want != "" {
			wantReason(t, ev, err, c.want)
		}
	}
}

// signKey signs with a given key, logged and stamped.
func (r raw) signKey(t testing.TB, k *key.Private, content sgsign.Content) *bundle.Bundle {
	t.Helper()
	pb, err := sgsign.Bundle(content, keypair{k}, sgsign.BundleOptions{Context: t.Context(),
		TransparencyLogs:     []sgsign.Transparency{sgsign.NewRekor(&sgsign.RekorOptions{BaseURL: r.s.RekorV1URLs()[0]})},
		TimestampAuthorities: []*sgsign.TimestampAuthority{sgsign.NewTimestampAuthority(&sgsign.TimestampAuthorityOptions{URL: r.s.TSAURLs()[0]})}})
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, pb)
}

func TestEvidence(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{TSAs: 2})
	run := sigstoretest.GitHub{Repo: "acme/app", Ref: "refs/tags/v1.2.3", Environment: "prod", Event: "release"}
	signer, err := sign.New(sign.Config{Token: func(context.Context) (string, error) { return s.Token(run.Claims()) },
		Fulcio: s.FulcioURL(), RekorV1: s.RekorV1URLs(), RekorV2: s.RekorV2URLs(), TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot()})
	if err != nil {
		t.Fatal(err)
	}
	st := about(t, artifact)
	b, err := signer.Sign(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	root := parseRoot(t, s.TrustedRoot())
	ev, err := newVerifier(t, root, verify.Config{}).Verify(b, digests(t, artifact, attest.SHA256, attest.SHA512))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ev.Statement().Bytes(), st.Bytes()) || !ev.Message().IsZero() || ev.Bundle() != b.Digest() || !ev.SCT() {
		t.Errorf("evidence %+v", ev)
	}
	if got := ev.Root(); got.Name != "test" || got.Digest != root.Digest() || !got.HasLogs || !got.HasCT {
		t.Errorf("root %+v", got)
	}
	var kinds []string
	for _, at := range ev.Times() {
		kinds = append(kinds, string(at.Kind))
		if d := time.Since(at.Time); d < -2*time.Second || d > time.Minute || at.Authority == "" {
			t.Errorf("time %+v", at)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"rekor-set", "rfc3161", "rfc3161"}) {
		t.Errorf("times %v", kinds)
	}
	if logs := ev.Logs(); len(logs) != 2 || logs[0].LogID == logs[1].LogID || !logs[0].Included || !logs[1].Included {
		t.Errorf("logs %+v", logs)
	}
	c := ev.Signer().Certificate
	if c == nil || c.Issuer != sigstoretest.GitHubIssuer || c.SourceRepositoryURI != "https://github.com/acme/app" || c.SourceRef != "refs/tags/v1.2.3" ||
		c.DeploymentEnv != "prod" || c.BuildTrigger != "release" || c.TokenSubject == "" || c.Legacy.Repository != "acme/app" || len(c.SANs) != 1 {
		t.Errorf("certificate %+v", c)
	}

	// The same signature in a file that is written otherwise.
	spaced, err := bundle.Parse(append(b.Bytes(), '\n'))
	if err != nil {
		t.Fatal(err)
	}
	again, err := newVerifier(t, root, verify.Config{}).Verify(spaced, digests(t, artifact))
	if err != nil || again.Envelope() != ev.Envelope() || again.Bundle() == ev.Bundle() {
		t.Errorf("%v: envelopes %s and %s, files %s and %s", err, again.Envelope(), ev.Envelope(), again.Bundle(), ev.Bundle())
	}
}

func TestInsecureNoLog(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	b := raw{s: s, claims: claims, tsa: true}.sign(t, dsse(about(t, artifact)))
	loose := newVerifier(t, parseRoot(t, s.TrustedRoot()), verify.Config{InsecureNoLog: true})
	ev, err := loose.Verify(b, digests(t, artifact))
	if err != nil || len(ev.Logs()) != 0 || !ev.Root().HasLogs {
		t.Errorf("%v, logs %v, root %+v", err, ev.Logs(), ev.Root())
	}
	// What is there is still checked.
	full := raw{s: s, claims: claims, v2: true, tsa: true}.sign(t, dsse(about(t, artifact)))
	bad := change(t, full, func(pb *protobundle.Bundle) { pb.VerificationMaterial.TlogEntries[0].InclusionProof.TreeSize++ })
	ev, err = loose.Verify(bad, digests(t, artifact))
	wantReason(t, ev, err, verify.LogInvalid)
}

func TestDetachedTSA(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{DetachedTSA: true})
	b := raw{s: s, claims: claims, v2: true, tsa: true}.sign(t, dsse(about(t, artifact)))
	if _, err := newVerifier(t, parseRoot(t, s.TrustedRoot()), verify.Config{}).Verify(b, digests(t, artifact)); err != nil {
		t.Error(err)
	}
}

// Chains of v0.1 and v0.2 may bring their own authorities. They are not trusted.
func TestOlderBundles(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	v := newVerifier(t, parseRoot(t, s.TrustedRoot()), verify.Config{})
	other := sigstoretest.New(t, sigstoretest.Options{})
	v1only := raw{s: s, claims: claims, v1: true}
	asChain := func(pb *protobundle.Bundle, mediaType string) {
		pb.MediaType = mediaType
		pb.VerificationMaterial.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
			Certificates: []*protocommon.X509Certificate{pb.VerificationMaterial.GetCertificate()}}}
	}
	for name, c := range map[string]struct {
		change func(*protobundle.Bundle)
		want   verify.Reason
	}{
		"v0.1": {func(pb *protobundle.Bundle) {
			asChain(pb, "application/vnd.dev.sigstore.bundle+json;version=0.1")
			pb.VerificationMaterial.TlogEntries[0].InclusionProof = nil
		}, ""},
		"v0.2":             {func(pb *protobundle.Bundle) { asChain(pb, "application/vnd.dev.sigstore.bundle+json;version=0.2") }, ""},
		"v0.3, older name": {func(pb *protobundle.Bundle) { pb.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.3" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, content := range map[string]sgsign.Content{"envelope": dsse(about(t, artifact)), "message": &sgsign.PlainData{Data: []byte(artifact)}} {
				b := change(t, v1only.sign(t, content), c.change)
				if _, err := v.Verify(b, digests(t, artifact)); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
			}
		})
	}
	foreign := change(t, raw{s: other, claims: claims, v1: true}.sign(t, dsse(about(t, artifact))), func(pb *protobundle.Bundle) {
		asChain(pb, "application/vnd.dev.sigstore.bundle+json;version=0.2")
	})
	ev, err := v.Verify(foreign, digests(t, artifact))
	wantReason(t, ev, err, verify.NotLogged)
}

func TestVerifyIsSafeForConcurrentUse(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	v := newVerifier(t, parseRoot(t, s.TrustedRoot()), verify.Config{})
	b := raw{s: s, claims: claims, v1: true, v2: true, tsa: true}.sign(t, dsse(about(t, artifact)))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := v.Verify(b, digests(t, artifact)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestParseTrustRootRefuses(t *testing.T) {
	good := sigstoretest.New(t, sigstoretest.Options{}).TrustedRoot()
	without := func(fields ...string) []byte {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			delete(m, f)
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	twice := func() []byte {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		logs := m["tlogs"].([]any)
		m["tlogs"] = append(logs, logs[0])
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	padded := append(slices.Clone(good), bytes.Repeat([]byte(" "), verify.MaxTrustRootBytes-len(good))...)
	if _, err := verify.ParseTrustRoot("test", padded); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	for name, c := range map[string]struct {
		data []byte
		text string
	}{
		"empty":          {nil, "trust root test"},
		"nothing in it":  {[]byte("{}"), "not a trusted_root.json"},
		"no media type":  {without("mediaType"), "trust root test"},
		"nobody":         {without("tlogs", "certificateAuthorities"), "it would trust nobody"},
		"log twice":      {twice(), "missing or twice in tlogs"},
		"truncated":      {good[:len(good)/2], "trust root test"},
		"another thing":  {[]byte(`{"keys":[]}`), "not a trusted_root.json"},
		"duplicate name": {bytes.Replace(good, []byte(`"tlogs"`), []byte(`"tlogs":[],"tlogs"`), 1), "twice"},
		"trailing data":  {append(slices.Clone(good), 'x'), "trust root test"},
		"too large":      {append(padded, ' '), "want at most 4194304"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := verify.ParseTrustRoot("test", c.data)
			if err == nil || r != nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %q", err, c.text)
			}
		})
	}
}

func TestKeyRootRefuses(t *testing.T) {
	at := time.Now()
	k := newKey(t).Public()
	many := func(n int) []verify.Key {
		var out []verify.Key
		for i := range n {
			out = append(out, verify.Key{Public: k, Until: at.Add(time.Duration(i))})
		}
		return out
	}
	if _, err := verify.KeyRoot("test", many(verify.MaxKeys)...); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	for name, keys := range map[string][]verify.Key{
		"none":         nil,
		"nil key":      {{}},
		"unknown type": {{Public: "key"}},
		"small RSA":    {{Public: smallRSA()}},
		"never valid":  {{Public: k, From: at, Until: at}},
		"one too many": many(verify.MaxKeys + 1),
		"private key":  {{Public: newKey(t)}},
	} {
		if r, err := verify.KeyRoot("test", keys...); err == nil || r != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// The digest is that of the keys, in any order.
	a, b := verify.Key{Public: k}, verify.Key{Public: newKey(t).Public()}
	one, err1 := verify.KeyRoot("test", a, b)
	two, err2 := verify.KeyRoot("test", b, a, a)
	three, err3 := verify.KeyRoot("test", a)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if one.Digest() != two.Digest() || one.Digest() == three.Digest() {
		t.Errorf("digests %s, %s, %s", one.Digest(), two.Digest(), three.Digest())
	}
	if _, err := verify.New(nil, verify.Config{}); err == nil {
		t.Error("a nil root was accepted")
	}
	if _, err := verify.New(new(verify.TrustRoot), verify.Config{}); err == nil {
		t.Error("the zero root was accepted")
	}
}

func TestReasonsUndecided(t *testing.T) {
	for _, r := range []verify.Reason{verify.NoArtifact, verify.DigestNeeded, verify.Misused} {
		if !r.Undecided() {
			t.Errorf("%s counts as decided", r)
		}
	}
	for _, r := range []verify.Reason{verify.BadSignature, verify.NotLogged, "", "unknown"} {
		if r.Undecided() {
			t.Errorf("%s counts as undecided", r)
		}
	}
}
